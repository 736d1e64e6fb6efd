//! What is said over a line: what the other side may not know yet.
//!
//! The invariant: an entry is told when its binding is news to the other side, or it was seen long after it was last told.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::ServerUid;
use evenkeel_balance::sessions::{Entry, SessionKey, SessionTable, TableWriter, read_tables};
use evenkeel_model::{PoolName, caps};
use evenkeel_net::clock;

use super::line::{Line, Reader, Writer};
use super::{Common, Seed};

/// Between two looks for news: what a crash may cost of what was learned last.
const LOOK: Duration = Duration::from_millis(200);
/// A look rests for so many times the time that the last one took.
const REST: u32 = 10;
/// Each so often everything is looked through, and told again where it was seen since.
const WHOLE: Duration = Duration::from_secs(15);
/// A line on which nothing comes for so long is over: something comes each second.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two signs of life.
const SIGN: Duration = Duration::from_secs(1);
/// Entries of one frame.
const BATCH: usize = 1000;
/// Seconds by which a session was seen later than was told that are not worth telling.
const SEEN: u32 = 10;

const CONFIG: u8 = b'C';
const SESSIONS: u8 = b'S';
/// The seed of its tables, before all else.
const SEED: u8 = b'Z';

/// What the other side knows of a session.
#[derive(Clone, Copy)]
struct Known {
    server: ServerUid,
    version: u32,
    is_dropped: bool,
    seen: u32,
}

#[derive(Default)]
struct Table {
    changes: Option<u64>,
    known: HashMap<SessionKey, Known>,
}

/// What the other side knows, pool by pool.
#[derive(Default)]
struct Tables {
    known: RefCell<HashMap<PoolName, Table>>,
    /// Whether it names sessions otherwise, so that no word of them is understood.
    are_foreign: Cell<bool>,
}

/// Tells and hears until the line is over; why it is.
pub(super) async fn exchange(common: &Common, name: &Arc<str>, line: Line) -> String {
    let (tables, heard_at) = (Tables::default(), Cell::new(clock::now()));
    let Line { reader, writer } = line;
    tokio::select! {
        why = tell(common, name, writer, &tables) => why,
        why = hear(common, name, reader, &tables, &heard_at) => why,
        why = watch(&heard_at) => why,
    }
}

async fn watch(heard_at: &Cell<Duration>) -> String {
    while clock::now().saturating_sub(heard_at.get()) < SILENCE {
        tokio::time::sleep(SIGN).await;
    }
    "it is silent".to_owned()
}

async fn tell(common: &Common, name: &Arc<str>, mut writer: Writer, tables: &Tables) -> String {
    let mut config = common.config.clone();
    config.mark_changed();
    let (mut whole_at, mut sign_at) = (clock::now(), clock::now());
    if let Err(error) = writer.say(&[vec![SEED], common.seed.write()].concat()).await {
        return crate::origin::words(&error);
    }
    loop {
        let began = clock::now();
        let is_whole = began >= whole_at;
        if is_whole {
            whole_at = began + WHOLE;
        }
        let mut told = 0;
        let shared = if tables.are_foreign.get() { BTreeMap::new() } else { common.shared.session_tables() };
        for (pool, table) in shared {
            for batch in news(&pool, &table, tables, is_whole) {
                let mut frame = vec![SESSIONS];
                let mut writing = TableWriter::begin(&common.secret, &mut frame);
                writing.write(&pool, &batch, &mut frame);
                writing.finish(&mut frame);
                if let Err(error) = writer.say(&frame).await {
                    return crate::origin::words(&error);
                }
                told += batch.len() as u64;
            }
        }
        if told > 0 {
            common.board.with(name, |link| link.sent += told);
        }
        if config.has_changed().unwrap_or(false) || clock::now() >= sign_at {
            sign_at = clock::now() + SIGN;
            let mut frame = vec![CONFIG];
            frame.extend(*config.borrow_and_update());
            if let Err(error) = writer.say(&frame).await {
                return crate::origin::words(&error);
            }
        }
        tokio::time::sleep(LOOK.max(clock::now().saturating_sub(began) * REST).min(SIGN)).await;
    }
}

/// Entries that the other side may not know, in batches.
fn news(pool: &PoolName, table: &SessionTable, tables: &Tables, is_whole: bool) -> Vec<Vec<Entry>> {
    let mut tables = tables.known.borrow_mut();
    let told = tables.entry(pool.clone()).or_default();
    let changes = table.changes();
    if told.changes == Some(changes) && !is_whole {
        return Vec::new();
    }
    told.changes = Some(changes);
    let now = clock::unix_now().as_secs();
    let (mut fresh, mut there) = (Vec::new(), HashMap::new());
    for turn in 0..table.turns() {
        for entry in table.entries(turn, now) {
            let known = told.known.get(&entry.key).copied();
            if known.is_none_or(|known| known.lacks(&entry)) {
                fresh.push(entry);
                there.insert(entry.key, Known::of(&entry));
            } else if let Some(known) = known {
                there.insert(entry.key, known);
            }
        }
    }
    // What is gone from the table is forgotten here as well, so that this never grows beyond it.
    told.known = there;
    fresh.chunks(BATCH).map(<[Entry]>::to_vec).collect()
}

async fn hear(
    common: &Common,
    name: &Arc<str>,
    mut reader: Reader,
    tables: &Tables,
    heard_at: &Cell<Duration>,
) -> String {
    loop {
        let frame = match reader.hear().await {
            Ok(frame) => frame,
            Err(error) => return crate::origin::words(&error),
        };
        heard_at.set(clock::now());
        match frame.split_first() {
            Some((&CONFIG, digest)) => {
                let digest = digest.first_chunk::<8>().copied();
                common.board.with(name, |link| link.config = digest);
            }
            Some((&SEED, bytes)) => tables.are_foreign.set(is_foreign(common, name, bytes).await),
            Some((&SESSIONS, _)) if tables.are_foreign.get() => {}
            Some((&SESSIONS, sessions)) => match take(common, sessions, tables) {
                Ok(count) => common.board.with(name, |link| link.received += count),
                Err(why) => return why,
            },
            // A later version may say more.
            _ => {}
        }
    }
}

/// Whether the other node's names are none of ours. Then it is told what to do.
async fn is_foreign(common: &Common, name: &Arc<str>, bytes: &[u8]) -> bool {
    let Some(theirs) = Seed::read(bytes) else { return false };
    let (seeds, ours, node) = (common.seeds.clone(), common.seed, Arc::clone(name));
    let weighed = tokio::task::spawn_blocking(move || seeds.weigh(ours, theirs, &node)).await;
    let trouble = weighed.unwrap_or_else(|panic| Some(format!("its seed could not be weighed: {panic}")));
    if let Some(why) = &trouble {
        tracing::warn!("learned sessions are not shared with node {name}: {why}");
    }
    let is_foreign = trouble.is_some();
    common.board.with(name, |link| link.trouble = trouble);
    is_foreign
}

fn take(common: &Common, sessions: &[u8], tables: &Tables) -> Result<u64, String> {
    let pieces =
        read_tables(sessions, &common.secret).map_err(|fault| format!("its sessions cannot be read: {fault}"))?;
    let (here, now) = (common.shared.session_tables(), clock::unix_now().as_secs());
    let mut tables = tables.known.borrow_mut();
    let mut count = 0;
    for (pool, piece) in pieces {
        let Some(table) = here.get(&pool) else { continue };
        let told = tables.entry(pool).or_default();
        for entry in piece.entries() {
            count += 1;
            table.merge(entry, now);
            if told.known.len() < caps::SESSIONS_PER_POOL as usize {
                told.known.insert(entry.key, Known::of(&entry));
            }
        }
    }
    Ok(count)
}

impl Known {
    fn of(entry: &Entry) -> Self {
        let (server, version) = (entry.server, entry.version());
        Self { server, version, is_dropped: entry.is_dropped(), seen: entry.seen }
    }

    fn lacks(&self, entry: &Entry) -> bool {
        (self.server, self.version, self.is_dropped) != (entry.server, entry.version(), entry.is_dropped())
            || entry.seen.saturating_sub(self.seen) > SEEN
    }
}
