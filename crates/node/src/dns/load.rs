//! A configuration's `dns` blocks to zones: files read, made zones built, names checked, keys read.
//!
//! The invariant: what is loaded is whole; one bad line of one zone file refuses the configuration.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_config::{Diagnostic, Loaded};
use evenkeel_dns::answer::{
    Balanced, CookieJar, Mode, OnAllDown, Own, OwnZone, Policy, RateRules, Ready, Served, Spread, Zones,
};
use evenkeel_dns::tsig::Key;
use evenkeel_dns::zone::{Reread, Source, Zone, load as load_zone};
use evenkeel_dns::{Name, Type};
use evenkeel_model::config::{
    Config, Dns, DnsAnswer, DnsCookies, DnsFallback, DnsLog, DnsMode, DnsSpread, DnsTcp, DnsZone, MadeZone, Network,
    SecretRef, ZoneSource,
};
use evenkeel_model::{ListenerName, PoolName, caps};
use evenkeel_net::{files, memory};

use super::delegation::Delegation;
use super::needs;
use super::tally::ZoneNumbers;
use crate::origin::words;
use crate::secrets;
use crate::zonefile;

/// Most problems of one zone file that are shown.
const SHOWN: usize = 20;

/// A `dns` block with everything that it names.
pub(crate) struct Block {
    pub(super) listeners: Vec<ListenerName>,
    pub(super) zones: Arc<Zones>,
    pub(super) ready: Arc<Ready>,
    /// What the zones were made of.
    made_of: MadeOf,
    pub(super) policy: Policy,
    pub(super) cookies: Option<[u8; 16]>,
    pub(super) rate: Option<RateRules>,
    pub(super) tcp: DnsTcp,
    pub(super) log: Option<DnsLog>,
    /// Every key that may sign a request.
    pub(super) keys: Arc<Vec<Key>>,
    pub(super) transfers: Arc<Vec<Allowed>>,
    pub(super) zones_told: Vec<Told>,
    /// What is doubtful about zones that were read for it; those that it took over were told of before.
    doubts: Vec<Diagnostic>,
    /// What the parent zones should say.
    pub(super) delegations: Vec<Delegation>,
    /// The numbers under which queries of the zones are counted, in the order of [`Zones::all`].
    numbers: Vec<u16>,
    /// The same by the zone's name, as on the wire in lower case.
    numbers_by_name: HashMap<Box<[u8]>, u16>,
}

/// What the zones of a block are made of. Where it is the same, they are.
#[derive(Clone, PartialEq)]
struct MadeOf {
    zones: Vec<DnsZone>,
    /// The pools that names go by which do not say.
    needs: Vec<Vec<PoolName>>,
    /// Every file that was read for a zone that does not keep its text, with a digest of what it held.
    files: Vec<(PathBuf, u64)>,
    /// A digest of everything that was read for each zone of a file, by its name in the configuration.
    contents: HashMap<String, u64>,
}

impl MadeOf {
    /// Whether the files hold what they held.
    fn is_unchanged(&self) -> bool {
        self.files.iter().all(|(path, digest)| read_file(path).is_ok_and(|bytes| digest_of(&bytes) == *digest))
    }
}

/// A file of a zone. A pipe in its place would hold up whoever reads it, for ever, and a file without end take all memory.
fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    files::read_plain(path.as_ref(), caps::DNS_ZONE_BYTES)
}

/// Tells two contents of a file from one another; nobody gains by making two that are the same.
fn digest_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Who may transfer a zone, by one line.
pub(super) struct Allowed {
    pub(super) zone: Name,
    pub(super) from: Vec<Network>,
    pub(super) key: Option<Name>,
}

/// A zone whose secondaries are told of changes.
pub(super) struct Told {
    pub(super) name: Name,
    pub(super) serial: u32,
    pub(super) secondaries: Vec<(SocketAddr, Option<Key>)>,
}

/// What is wrong with the zones and keys of a configuration, and where they can be used, what is doubtful about them.
pub fn problems(loaded: &Loaded) -> Vec<Diagnostic> {
    let Some(config) = &loaded.config else { return Vec::new() };
    let mut found = load(config, b"", loaded, &[]).map_or_else(|wrong| wrong, |blocks| doubts(&blocks));
    found.extend(zonefile::unreadable_keys(config, loaded));
    found
}

/// What is doubtful about zones that were read for these blocks.
pub(crate) fn doubts(blocks: &[Block]) -> Vec<Diagnostic> {
    blocks.iter().flat_map(|block| &block.doubts).cloned().collect()
}

/// Loads every block; `own` is this node's own secret, `kept` are the blocks that answer now, whose zones are taken
/// over where nothing of them has changed.
///
/// # Errors
/// Everything that cannot be used.
pub(crate) fn load(
    config: &Config,
    own: &[u8],
    loaded: &Loaded,
    kept: &[Block],
) -> Result<Vec<Block>, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut blocks = Vec::new();
    for dns in &config.dns {
        match block(config, dns, own, (loaded, kept)) {
            Ok(block) => blocks.push(block),
            Err(wrong) => found.extend(wrong),
        }
    }
    if found.is_empty() { Ok(blocks) } else { Err(found) }
}

/// The zones of a block, and what is ready of them.
type Read = (Arc<Zones>, Arc<Ready>, MadeOf);

/// Reads the zones of a block, or takes over what has not changed of those that answer now. What is doubtful about those
/// that are read comes with them.
fn zones(
    config: &Config,
    dns: &Dns,
    (loaded, kept): (&Loaded, &[Block]),
) -> Result<(Read, Vec<Diagnostic>), Vec<Diagnostic>> {
    let needs = needs::of_block(config, dns);
    let same = |block: &&Block| block.made_of.zones == dns.zones && block.made_of.needs == needs;
    if let Some(read) = kept.iter().find(same).and_then(Block::read_on) {
        return Ok((read, Vec::new()));
    }
    let (mut found, mut doubts, mut zones) = (Vec::new(), Vec::new(), Zones::new());
    let mut beside = Beside { kept, files: Vec::new(), held: None, doubts: Vec::new() };
    let mut contents = HashMap::new();
    for zone in &dns.zones {
        match served(config, zone, loaded, &mut beside) {
            Ok(served) => {
                let origin = served.zone().origin().clone();
                if zones.insert(served).is_some() {
                    found.push(twice(loaded, &zone.name, &format!("`{origin}` is there already")));
                }
            }
            Err(wrong) => found.push(*wrong),
        }
        contents.extend(beside.held.take().map(|held| (zone.name.clone(), held)));
        doubts.extend(beside.doubts.drain(..).map(|doubt| loaded.zone_doubted(&zone.name, &doubt)));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let ready = compiled(&zones);
    let made_of = MadeOf { zones: dns.zones.clone(), needs, files: beside.files, contents };
    Ok(((Arc::new(zones), ready, made_of), doubts))
}

/// All answers of zones made ready.
fn compiled(zones: &Zones) -> Arc<Ready> {
    let ready = Arc::new(Ready::compile(zones));
    ready.memory().into_iter().for_each(memory::keep_in_large_pages);
    ready
}

fn block(
    config: &Config,
    dns: &Dns,
    own: &[u8],
    (loaded, kept): (&Loaded, &[Block]),
) -> Result<Block, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let (read, doubts) = zones(config, dns, (loaded, kept)).unwrap_or_else(|wrong| {
        found = wrong;
        let made_of = MadeOf { zones: Vec::new(), needs: Vec::new(), files: Vec::new(), contents: HashMap::new() };
        ((Arc::default(), Arc::default(), made_of), Vec::new())
    });
    let (zones, ready, made_of) = read;
    let Secondaries { keys, transfers, told } = secondaries(dns, &zones, loaded, &mut found);
    let keys = distinct(keys, loaded, &mut found);
    let cookies = cookies(&dns.cookies, own).unwrap_or_else(|cause| {
        found.push(loaded.dns_secret_unreadable(None, &cause));
        None
    });
    if !found.is_empty() {
        return Err(found);
    }
    Ok(Block {
        listeners: dns.listeners.iter().map(|listener| listener.name.clone()).collect(),
        ready,
        zones,
        made_of,
        policy: Policy { identifier: dns.id.clone(), version: dns.version.clone(), ..Policy::default() },
        cookies,
        rate: dns.rate.map(|rate| RateRules { rate: rate.rate, instant: rate.burst, slip: rate.slip }),
        tcp: dns.tcp,
        log: dns.log.clone(),
        keys: Arc::new(keys),
        transfers: Arc::new(transfers),
        zones_told: told,
        doubts,
        delegations: delegations(config, dns),
        numbers: Vec::new(),
        numbers_by_name: HashMap::new(),
    })
}

/// Who may have zones transferred, and who is told that one changed.
#[derive(Default)]
struct Secondaries<'a> {
    keys: Vec<SignedBy<'a>>,
    transfers: Vec<Allowed>,
    told: Vec<Told>,
}

/// A key that signs requests for the transfer of a zone, and where it is kept.
struct SignedBy<'a> {
    key: Key,
    zone: &'a str,
    kept: &'a SecretRef,
}

/// Every key once. A signature names its key, so that two of one name cannot be told from one another.
fn distinct(keys: Vec<SignedBy<'_>>, loaded: &Loaded, found: &mut Vec<Diagnostic>) -> Vec<Key> {
    let mut all: Vec<SignedBy<'_>> = Vec::new();
    for signed in keys {
        match all.iter().find(|known| known.key.name() == signed.key.name()) {
            None => all.push(signed),
            Some(known) if known.key == signed.key => {}
            Some(known) => {
                let name = known.key.name().to_string();
                found.push(loaded.dns_keys_differ(&name, (known.zone, known.kept), (signed.zone, signed.kept)));
            }
        }
    }
    all.into_iter().map(|signed| signed.key).collect()
}

/// The secondary servers of a block's zones; a key that cannot be read is added to what was found wrong.
fn secondaries<'a>(dns: &'a Dns, zones: &Zones, loaded: &Loaded, found: &mut Vec<Diagnostic>) -> Secondaries<'a> {
    let mut all = Secondaries::default();
    for zone in &dns.zones {
        let Some(served) = name(&zone.name).ok().and_then(|name| zones.get(&name)) else { continue };
        let (name, mut secondaries) = (served.zone().origin().clone(), Vec::new());
        let mut read = |secret: &Option<SecretRef>| match secret.as_ref().map(secrets::tsig_key) {
            None => Some(None),
            Some(Ok(key)) => Some(Some(key)),
            Some(Err(cause)) => {
                found.push(loaded.dns_secret_unreadable(Some(&zone.name), &cause));
                None
            }
        };
        for line in &zone.transfer {
            let Some(key) = read(&line.key) else { continue };
            let key_name = key.as_ref().map(|key| key.name().clone());
            all.transfers.push(Allowed { zone: name.clone(), from: line.from.clone(), key: key_name });
            let signed = key.zip(line.key.as_ref()).map(|(key, kept)| SignedBy { key, zone: &zone.name, kept });
            all.keys.extend(signed);
        }
        for line in &zone.notify {
            let Some(key) = read(&line.key) else { continue };
            secondaries.push((line.to, key));
        }
        if !secondaries.is_empty() {
            all.told.push(Told { name, serial: served.zone().soa().serial, secondaries });
        }
    }
    all
}

/// What the parents of made zones should say, where there is a resolver to ask.
fn delegations(config: &Config, dns: &Dns) -> Vec<Delegation> {
    let Some(resolver) = config.process.resolvers.first().copied() else { return Vec::new() };
    let of = |zone: &DnsZone| {
        let ZoneSource::Made(made) = &zone.source else { return None };
        let servers = made.servers.iter().filter_map(|server| Some((name(&server.name).ok()?, server.addrs.clone())));
        Some(Delegation { zone: name(&zone.name).ok()?, servers: servers.collect(), resolver })
    };
    dns.zones.iter().filter_map(of).collect()
}

/// The secret of the cookies.
fn cookies(cookies: &DnsCookies, own: &[u8]) -> Result<Option<[u8; 16]>, String> {
    Ok(match cookies {
        DnsCookies::Off => None,
        DnsCookies::Own => Some(CookieJar::secret_of(own)),
        DnsCookies::Shared(secret) => match secrets::read(secret)? {
            bytes if bytes.len() >= 16 => Some(CookieJar::secret_of(&bytes)),
            bytes => return Err(format!("it has {} bytes; at least 16 are needed", bytes.len())),
        },
    })
}

fn served(
    config: &Config,
    zone: &DnsZone,
    loaded: &Loaded,
    beside: &mut Beside<'_>,
) -> Result<Served, Box<Diagnostic>> {
    let unusable = |cause: &str| Box::new(loaded.zone_unusable(&zone.name, cause));
    let origin = name(&zone.name).map_err(|cause| unusable(&cause))?;
    let mut served = match &zone.source {
        ZoneSource::File(path) => file(path, &origin, &unusable, beside)?,
        ZoneSource::Made(made) => {
            let made = own_zone(config, &origin, made, zone).map_err(|cause| unusable(&cause))?;
            made.build().ok_or_else(|| unusable("its name is too long for what has to be put before it"))?
        }
    };
    for line in &zone.names {
        let owner = name(&line.name).map_err(|cause| unusable(&cause))?;
        if served.balanced(&owner).is_some() {
            return Err(Box::new(twice(loaded, &zone.name, &format!("the addresses of `{owner}` are chosen already"))));
        }
        if let Some(why) = served.is_out_of_reach(&owner) {
            let mut diagnostic = unusable(&format!("`{owner}`, whose addresses are to be chosen by health, {why}"));
            diagnostic.help(
                "take that record out of the file, or choose the addresses of the name that is asked for in the end",
            );
            return Err(diagnostic);
        }
        if !served.balance(&owner, balanced(config, (&line.name, false), &line.answer)) {
            let mut diagnostic = unusable(&format!("it has no `{owner}`, whose addresses are to be chosen by health"));
            diagnostic.help(format!("give the file a record of it, such as `{owner} TXT \"chosen by health\"`"));
            return Err(diagnostic);
        }
        if served.has_address_hints(&owner) {
            beside.doubts.push(format!(
                "`{owner}`, whose addresses health chooses, has `ipv4hint` or `ipv6hint`: clients may connect to those \
                 without asking for an address; take them out of the file"
            ));
        }
    }
    Ok(served)
}

/// A zone or a name in it that stands in the configuration twice, in two spellings (RFC 4343).
fn twice(loaded: &Loaded, zone: &str, cause: &str) -> Diagnostic {
    let mut diagnostic = loaded.zone_unusable(zone, cause);
    diagnostic.help("capital letters and a dot at the end make no other name; remove one of the two");
    diagnostic
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: evenkeel_dns::NameError| error.to_string())
}

/// A zone file. Files that it includes are relative to it.
fn file(
    path: &Path,
    origin: &Name,
    unusable: &dyn Fn(&str) -> Box<Diagnostic>,
    beside: &mut Beside<'_>,
) -> Result<Served, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let bytes = read_file(path).map_err(|error| unread(&shown, &error, unusable))?;
    let noted = beside.files.len();
    beside.note(path, &bytes);
    if let Some(zone) = beside.known(origin, &bytes) {
        beside.files.truncate(noted);
        return Ok(Served::plain(zone));
    }
    let zone = load_zone(&shown, bytes, origin, beside);
    let report = zone.report();
    match zone.zone {
        Some(good) => {
            if good.has_text() {
                beside.files.truncate(noted);
            }
            beside.doubts.extend(report.iter().take(SHOWN).map(|line| line.replacen(": warning: ", ": ", 1)));
            let more = report.len().saturating_sub(SHOWN);
            beside
                .doubts
                .extend((more > 0).then(|| format!("{shown}: {more} more; `evenkeel check {shown}` shows them")));
            Ok(Served::plain(good))
        }
        None => {
            let mut diagnostic = unusable(&format!("{shown} is no sound zone file"));
            for line in report.iter().filter(|line| line.contains(": error: ")).take(SHOWN) {
                diagnostic.note(line.clone());
            }
            Err(diagnostic)
        }
    }
}

/// A zone file that cannot be read.
fn unread(shown: &str, error: &io::Error, unusable: &dyn Fn(&str) -> Box<Diagnostic>) -> Box<Diagnostic> {
    if error.kind() == io::ErrorKind::FileTooLarge {
        let mut diagnostic = unusable(&format!("{shown} is no sound zone file"));
        diagnostic.note(format!("{shown}: error: it has more than {} bytes (zone-too-large)", caps::DNS_ZONE_BYTES));
        return diagnostic;
    }
    let mut diagnostic = unusable(&format!("{shown}: {}", words(error)));
    diagnostic.help("check the path, and that the user that the program becomes may read it");
    diagnostic
}

/// Files beside the file that includes them, and a note of every file that was read.
struct Beside<'a> {
    /// The blocks that answer now.
    kept: &'a [Block],
    files: Vec<(PathBuf, u64)>,
    /// A digest of what was read for the zone that is being read.
    held: Option<u64>,
    /// What is doubtful about it.
    doubts: Vec<String>,
}

impl Beside<'_> {
    /// The zone as it answers now, where it was read from that text, about which there was nothing to say.
    fn known(&self, origin: &Name, text: &[u8]) -> Option<Zone> {
        let zones = self.kept.iter().filter_map(|block| block.zones.get(origin));
        zones.map(Served::zone).find(|zone| zone.is_read_from(text)).cloned()
    }

    fn note(&mut self, path: &Path, bytes: &[u8]) {
        let digest = digest_of(bytes);
        self.files.push((path.to_owned(), digest));
        self.held = Some(self.held.map_or(digest, |held| held.rotate_left(1) ^ digest));
    }
}

impl Source for Beside<'_> {
    fn read(&mut self, from: &str, file: &str) -> Result<(String, Vec<u8>), String> {
        let path = Path::new(from).parent().unwrap_or(Path::new("/")).join(file);
        let bytes = read_file(&path).map_err(|error| words(&error))?;
        self.note(&path, &bytes);
        Ok((path.display().to_string(), bytes))
    }
}

fn own_zone(config: &Config, origin: &Name, made: &MadeZone, zone: &DnsZone) -> Result<OwnZone, String> {
    let servers = made.servers.iter().map(|server| Ok((name(&server.name)?, server.addrs.clone())));
    Ok(OwnZone {
        name: origin.clone(),
        servers: servers.collect::<Result<_, String>>()?,
        wildcard: made.wildcard,
        serial: serial(zone),
        ns_ttl: seconds(made.ns_ttl),
        negative_ttl: seconds(made.negative_ttl),
        balanced: balanced(config, (&zone.name, made.wildcard), &made.answer),
    })
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// The serial of a zone that is made: the same on every node with the same lines (FNV-1a; Fowler, Noll, Vo). What
/// differs between nodes, their own addresses, is left out.
fn serial(zone: &DnsZone) -> u32 {
    let mut zone = zone.clone();
    if let ZoneSource::Made(made) = &mut zone.source {
        made.answer.own = Vec::new();
        made.answer.mode = DnsMode::OwnAddress;
    }
    let text = format!("{zone:?}");
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}

fn balanced(config: &Config, name: (&str, bool), answer: &DnsAnswer) -> Balanced {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = answer.own.iter().partition(|addr| addr.is_ipv4());
    // With addresses of both families, or any at all, they are the ones; the arrival's is for where none are given.
    let own = if v4.is_empty() && v6.is_empty() {
        Own::Arrival { else_use: Vec::new() }
    } else {
        Own::Fixed(answer.own.clone())
    };
    let needed = |pool: &Option<PoolName>| pool.clone().map_or_else(|| needs::of(config, name), |pool| vec![pool]);
    let (mode, needs) = match (answer.mode, &answer.pool) {
        (DnsMode::Pool, Some(pool)) => (Mode::Pool(pool.clone()), Vec::new()),
        (DnsMode::OwnAndPeers, pool) => (Mode::OwnAndPeers, needed(pool)),
        (DnsMode::Peers, pool) => (Mode::Peers, needed(pool)),
        (DnsMode::OwnAddress | DnsMode::Pool, pool) => (Mode::OwnAddress, needed(pool)),
    };
    Balanced {
        mode,
        own,
        needs,
        peers: answer.peers.clone(),
        at_most: usize::from(answer.most),
        min_alive: usize::from(answer.min),
        min_alive_percent: answer.min_percent,
        on_all_down: match answer.fallback {
            DnsFallback::All => OnAllDown::All,
            DnsFallback::LastGood => OnAllDown::LastGood(Vec::new()),
        },
        spread: match answer.spread {
            DnsSpread::Rotate => Spread::Rotate,
            DnsSpread::Hash => Spread::Hash,
        },
        ttl: seconds(answer.ttl),
        ttl_min: seconds(answer.ttl_min),
    }
}

impl Block {
    /// The zones with what has changed in their files; `None` where one of them has to be read as a whole.
    fn read_on(&self) -> Option<Read> {
        if !self.made_of.is_unchanged() {
            return None;
        }
        let mut changed = Vec::new();
        let (mut next, mut made_of) = (None, self.made_of.clone());
        for line in &self.made_of.zones {
            let ZoneSource::File(path) = &line.source else { continue };
            let served = self.zones.get(&name(&line.name).ok()?)?;
            if !served.zone().has_text() {
                continue;
            }
            let text = Arc::new(read_file(path).ok()?);
            if !served.zone().is_read_from(&text) {
                let Reread { zone, changed: names } = served.zone().reread(&text)?;
                changed.extend(names);
                made_of.contents.insert(line.name.clone(), digest_of(&text));
                let served = served.following(zone)?;
                next.get_or_insert_with(|| (*self.zones).clone()).insert(served);
            }
        }
        let Some(zones) = next else {
            return Some((Arc::clone(&self.zones), Arc::clone(&self.ready), made_of));
        };
        let ready = self.ready.following(&zones, &changed).map_or_else(|| compiled(&zones), Arc::new);
        Some((Arc::new(zones), ready, made_of))
    }

    /// The zones as the configuration has them.
    pub(super) fn lines(&self) -> &[DnsZone] {
        &self.made_of.zones
    }

    /// What tells the contents of a zone's files from others; `None` for one that is made.
    pub(super) fn contents(&self, zone: &str) -> Option<u64> {
        self.made_of.contents.get(zone).copied()
    }

    /// Has the queries of each zone counted under its own number, the same as before the reload.
    pub(super) fn number_zones(&mut self, numbers: &mut ZoneNumbers) {
        let all = self.zones.all();
        let names: Vec<Name> = all.iter().map(|served| served.zone().origin().to_lower()).collect();
        self.numbers = names.iter().map(|name| numbers.number(&name.to_string())).collect();
        let by_name = names.iter().zip(&self.numbers).map(|(name, number)| (name.as_wire().into(), *number));
        self.numbers_by_name = by_name.collect();
    }

    /// The number under which a zone's queries are counted, by its place in the order of all.
    pub(super) fn number(&self, place: u32) -> Option<u16> {
        self.numbers.get(usize::try_from(place).ok()?).copied()
    }

    /// The same for a question.
    pub(super) fn number_of(&self, name: &Name, kind: Type) -> Option<u16> {
        let origin = self.zones.find(name, kind)?.zone().origin().to_lower();
        self.numbers_by_name.get(origin.as_wire()).copied()
    }

    /// Whether a zone may be transferred to that client, whose request was signed by that key.
    pub(super) fn may_transfer(&self, zone: &Name, client: IpAddr, key: Option<&Name>) -> bool {
        self.transfers.iter().any(|line| {
            line.zone == *zone
                && (line.from.is_empty() || line.from.iter().any(|network| network.contains(client)))
                && line.key.as_ref().is_none_or(|wanted| Some(wanted) == key)
        })
    }
}

#[cfg(test)]
mod tests;
