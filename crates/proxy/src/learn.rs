//! Sessions that answers tell: found again in requests, noted from heads and from pages as they pass.
//!
//! Not here: the table (`evenkeel_balance::sessions`) and how ids are read (`evenkeel_http::learn`). The invariants: only
//! a server's answer makes an entry, and it stands before the bytes that carry its id are written to the client; what
//! passes is not changed.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use evenkeel_balance::sessions::{Bounds, ClientMark, SessionKey, SessionTable, Source};
use evenkeel_balance::{ServerIndex, ServerUid};
use evenkeel_http::Known;
use evenkeel_http::cookie::{self, Told};
use evenkeel_http::learn::{self, Coding, IdNames, OwnHosts, PageReader};
use evenkeel_model::caps;
use evenkeel_model::config::{Carrier, HostPattern, Learn, LearnFrom, Pool, StickyMethod};
use evenkeel_net::clock;

use crate::buffer::Desk;
use crate::exchange::Exchange;
use crate::snapshot::PoolPart;
use crate::stick::{Purpose, Reading};

/// Cookies of one name that are tried, as browsers send two when paths or domains overlap.
const COOKIES_TRIED: usize = 4;

/// What a pool learns sessions by.
pub(crate) struct Learning {
    pub(crate) table: Arc<SessionTable>,
    methods: Vec<Learn>,
    /// Names that links of heads are searched for.
    in_links: Option<IdNames>,
    /// Names that pages are searched for.
    in_pages: Option<IdNames>,
}

/// A session that a request brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recalled {
    pub(crate) key: SessionKey,
    /// Where it lives; `None` if nobody has told.
    pub(crate) server: Option<ServerUid>,
}

/// The bounds of a pool's table; `None` where it learns nothing.
pub(crate) fn bounds(pool: &Pool) -> Option<Bounds> {
    let learns = || methods(pool);
    learns().next()?;
    Some(Bounds {
        idle: learns().map(|learn| learn.idle).max()?,
        life: learns().map(|learn| learn.life).max()?,
        max: pool.sessions.max as usize,
    })
}

fn methods(pool: &Pool) -> impl Iterator<Item = &Learn> {
    pool.sticky.iter().filter_map(|sticky| match &sticky.method {
        StickyMethod::Learned(learn) => Some(learn),
        _ => None,
    })
}

impl Learning {
    /// What the pool's methods learn into its table.
    pub(crate) fn new(pool: &Pool, table: Arc<SessionTable>) -> Self {
        let methods: Vec<Learn> = methods(pool).cloned().collect();
        let names = |from: LearnFrom| {
            let wanted = || methods.iter().filter(|learn| learn.from.contains(&from)).map(|learn| &learn.carrier);
            let query = wanted().filter_map(|carrier| match carrier {
                Carrier::Query(name) => Some(name.as_bytes()),
                _ => None,
            });
            let path = wanted().filter_map(|carrier| match carrier {
                Carrier::Path(name) => Some(name.as_bytes()),
                _ => None,
            });
            IdNames::new(query, path)
        };
        let (in_links, in_pages) = (names(LearnFrom::Location), names(LearnFrom::Body));
        Self { table, methods, in_links, in_pages }
    }

    /// Whether pages are searched.
    pub(crate) fn reads_pages(&self) -> bool {
        self.in_pages.is_some()
    }

    /// The session that the request brings where `carrier` says. One that is known is alive again.
    pub(crate) fn recall(&self, reading: Reading<'_>, carrier: &Carrier) -> Option<Recalled> {
        let (request, buf) = (&reading.desk.request, reading.desk.input.written());
        let mut id = Vec::new();
        match carrier {
            Carrier::Cookie(name) => {
                let values = cookie::values(request.fields(), buf, name.as_bytes()).take(COOKIES_TRIED);
                let mut first = None;
                for recalled in values.filter_map(learn::id::in_field).map(|value| self.ask(value, reading)) {
                    if recalled.server.is_some() {
                        return Some(recalled);
                    }
                    first.get_or_insert(recalled);
                }
                first
            }
            Carrier::Field(name) => {
                let value = request.fields().find(buf, name.as_bytes())?;
                Some(self.ask(learn::id::in_field(value)?, reading))
            }
            Carrier::Query(name) => {
                learn::id::in_query(request.query(buf)?, name.as_bytes(), &mut id).then(|| self.ask(&id, reading))
            }
            Carrier::Path(name) => {
                learn::id::in_path(request.path(buf), name.as_bytes(), &mut id).then(|| self.ask(&id, reading))
            }
        }
    }

    fn ask(&self, id: &[u8], reading: Reading<'_>) -> Recalled {
        let key = self.table.key(id);
        let server = match reading.purpose {
            Purpose::Serving => self.table.find(key, ClientMark::of(reading.client), reading.now),
            Purpose::Explaining => self.table.look(key, reading.now).map(|entry| entry.server),
        };
        Recalled { key, server }
    }

    /// Notes what the head of an answer tells, before it is written to the client. A session that the request brought
    /// follows the server that answered.
    pub(crate) fn note_head(&self, desk: &Desk, exchange: &Exchange, server: ServerUid, recalled: Option<Recalled>) {
        let now = clock::unix_now().as_secs();
        let client = ClientMark::of(exchange.client);
        if let Some(Recalled { key, server: Some(before) }) = recalled
            && before != server
        {
            self.table.bind(key, server, now);
        }
        let (fields, buf) = (desk.response.fields(), desk.answer.filled());
        let told = |id: &[u8]| {
            self.table.learn(self.table.key(id), server, Source::Head, client, now);
        };
        for method in &self.methods {
            for from in &method.from {
                match (from, &method.carrier) {
                    (LearnFrom::SetCookie, carrier) => {
                        match cookie::told(fields, buf, name_of(carrier).as_bytes(), now) {
                            Told::Deleted => self.end(desk, carrier, now),
                            Told::Set(value) => learn::id::in_field(value).into_iter().for_each(told),
                            Told::Nothing => {}
                        }
                    }
                    (LearnFrom::Field(name), _) => {
                        fields.find(buf, name.as_bytes()).and_then(learn::id::in_field).into_iter().for_each(told);
                    }
                    (LearnFrom::Location | LearnFrom::Body, _) => {}
                }
            }
        }
        if let Some(names) = &self.in_links {
            let own = own_hosts(desk, exchange);
            // A redirection may be made of what a stranger asked for: its ids are believed as those of pages are.
            learn::in_head_links(fields, buf, names, &own, &mut |id| {
                self.table.learn(self.table.key(id), server, Source::Body, client, now);
            });
        }
    }

    /// The server took its cookie away: the session is over.
    fn end(&self, desk: &Desk, carrier: &Carrier, now: u64) {
        let Carrier::Cookie(name) = carrier else { return };
        let (request, buf) = (&desk.request, desk.input.written());
        for value in cookie::values(request.fields(), buf, name.as_bytes()).take(COOKIES_TRIED) {
            if let Some(id) = learn::id::in_field(value) {
                self.table.end(self.table.key(id), now);
            }
        }
    }
}

fn name_of(carrier: &Carrier) -> &str {
    let (Carrier::Cookie(name) | Carrier::Query(name) | Carrier::Field(name) | Carrier::Path(name)) = carrier;
    name
}

/// The hosts whose links are the site's own: the request's, and those that the site is configured for.
fn own_hosts(desk: &Desk, exchange: &Exchange) -> OwnHosts {
    let place = exchange.place;
    let site = place.site.and_then(|site| exchange.snapshot.site(place.listener, site));
    let names = site.map(|(config, _)| config.hosts.as_slice()).unwrap_or_default();
    let exact = names.iter().filter_map(|host| match host {
        HostPattern::Exact(host) => Some(host.as_bytes()),
        HostPattern::Below(_) => None,
    });
    OwnHosts::new([desk.request.authority(desk.input.written())].into_iter().chain(exact))
}

/// Whether an `Accept-Encoding` of the request names codings that pages cannot be read in; `out` gets what is left of it.
pub(crate) fn write_accepted(desk: &Desk, out: &mut Vec<u8>) -> bool {
    let (mut is_changed, from) = (false, out.len());
    for value in desk.request.fields().known(desk.input.written(), Known::AcceptEncoding) {
        let end = out.len();
        if end > from {
            out.extend_from_slice(b", ");
        }
        let begin = out.len();
        is_changed |= learn::write_readable(value, out);
        if out.len() == begin {
            out.truncate(end);
        }
    }
    if is_changed && out.len() == from {
        out.extend_from_slice(b"identity");
    }
    is_changed
}

/// A page on its way to a client, read as it passes.
pub(crate) struct Page {
    pool: Rc<crate::hold::HeldPool>,
    reader: PageReader,
    server: ServerUid,
    client: ClientMark,
    _room: Room,
}

/// Memory that a worker's readers of pages take, given back when the page has passed.
struct Room {
    used: Rc<Cell<usize>>,
    bytes: usize,
}

impl Room {
    fn take(used: &Rc<Cell<usize>>, bytes: usize) -> Option<Self> {
        let sum = used.get().saturating_add(bytes);
        (sum <= caps::PAGE_READER_BYTES).then(|| {
            used.set(sum);
            Self { used: Rc::clone(used), bytes }
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.used.set(self.used.get().saturating_sub(self.bytes));
    }
}

impl Page {
    /// Begins to read the answer's body, if it is a page and the pool learns from pages.
    pub(crate) fn begin(
        used: &Rc<Cell<usize>>,
        desk: &Desk,
        exchange: &Exchange,
        pool: &Rc<crate::hold::HeldPool>,
        answered: ServerIndex,
    ) -> Option<Box<Self>> {
        let learning = pool.learning.as_ref().filter(|learning| learning.reads_pages())?;
        if !learn::is_page(&desk.response, desk.answer.filled()) {
            return None;
        }
        let unread = || learning.table.count_unread();
        let Some(coding) = Coding::of(desk.response.fields(), desk.answer.filled()) else {
            unread();
            return None;
        };
        let Some(room) = Room::take(used, coding.memory()) else {
            unread();
            return None;
        };
        Some(Box::new(Self {
            reader: PageReader::new(coding, own_hosts(desk, exchange))?,
            server: pool.server(answered)?.uid,
            client: ClientMark::of(exchange.client),
            pool: Rc::clone(pool),
            _room: room,
        }))
    }

    /// Reads a stretch of the body that is about to pass.
    pub(crate) fn see(&mut self, body: &[u8]) {
        self.read(|reader, names, tell| reader.feed(names, body, tell));
    }

    /// The body has ended.
    pub(crate) fn end(&mut self) {
        self.read(|reader, names, tell| reader.finish(names, tell));
    }

    fn read(&mut self, read: impl FnOnce(&mut PageReader, &IdNames, &mut dyn FnMut(&[u8]))) {
        let Self { pool, reader, server, client, .. } = self;
        let part: &PoolPart = pool.part();
        let Some(learning) = &part.learning else { return };
        let Some(names) = &learning.in_pages else { return };
        if reader.is_over() {
            return;
        }
        read(reader, names, &mut |id| {
            let now = clock::unix_now().as_secs();
            learning.table.learn(learning.table.key(id), *server, Source::Body, *client, now);
        });
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("reader", &self.reader).finish_non_exhaustive()
    }
}
