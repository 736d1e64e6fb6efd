//! TLS of a configuration: certificate files read, listeners' and pools' sides of it made ready; and certificates that come
//! from elsewhere than files.
//!
//! The invariant: what is made ready is whole. One file that cannot be used refuses a configuration, and a certificate that
//! comes later takes its place beside the others or not at all.

mod judge;
mod own;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_config::{Code, Diagnostic, Loaded};
use evenkeel_model::config::{CertificateSource, Config, Listener, ListenerTls, Pool, PoolTls, ServerProtocol, TlsMin};
use evenkeel_model::{ListenerName, PoolName, caps};
use evenkeel_net::tls::{
    Acceptor, AcceptorOptions, Certificate, CertificateSet, ClientAuthority, Connector, ConnectorOptions, TicketKeys,
    TlsVersion, Trust, chain_of,
};
use evenkeel_net::{clock, files};

use crate::acme::binding_key;
use crate::origin::words;
use crate::state::State;

pub(crate) use judge::doubts;
pub use judge::problems;

/// The protocols that we speak ourselves inside of TLS to clients (ALPN), the preferred first.
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];
/// HTTP/2, as ALPN calls it.
const HTTP2: &[u8] = b"h2";

/// TLS of a running configuration. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tls {
    tickets: TicketKeys,
    /// Where those that the program made itself outlive the process.
    state: State,
    /// Certificates that the program made itself, stand-ins among them, by their hosts: a reload keeps them.
    own: HashMap<Vec<String>, Arc<Certificate>>,
    listeners: HashMap<ListenerName, Door>,
    pools: HashMap<PoolName, Way>,
    acceptors: HashMap<ListenerName, Arc<Acceptor>>,
    connectors: HashMap<PoolName, Arc<Connector>>,
    /// What came from elsewhere than files, by listener.
    installed: HashMap<ListenerName, Installed>,
}

/// Certificates of a listener that come from elsewhere than files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Installed {
    /// They are preferred to those from files, in their order.
    pub(crate) certificates: Vec<Arc<Certificate>>,
    /// What an ACME authority is shown that looks whether a name is ours (RFC 8737), by name.
    pub(crate) challenges: Vec<(String, Arc<Certificate>)>,
}

/// A certificate that a listener shows.
#[derive(Debug, Clone)]
pub struct ShownCertificate {
    /// The listener.
    pub listener: ListenerName,
    /// Where it comes from: a file, `self`, `acme:` and its first host, or `stand-in:` and that until it is there.
    pub source: String,
    /// The hosts and addresses that it is for.
    pub names: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// From when it is valid, in seconds since 1970.
    pub not_before: u64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: u64,
    /// For how many seconds it still is; below zero since when it is not.
    pub left: i64,
}

impl ShownCertificate {
    fn of(listener: &ListenerName, source: String, certificate: &Certificate, now: u64) -> Self {
        let facts = certificate.facts();
        let addresses = facts.names.addresses.iter().map(ToString::to_string);
        let left = i128::from(facts.not_after) - i128::from(now);
        Self {
            listener: listener.clone(),
            source,
            names: facts.names.hosts.iter().cloned().chain(addresses).collect(),
            subject: facts.subject.clone(),
            issuer: facts.issuer.clone(),
            serial: facts.serial.clone(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            left: i64::try_from(left).unwrap_or(i64::MAX),
        }
    }
}

/// A listener's side, as far as files tell.
#[derive(Clone)]
struct Door {
    /// The protocols that it offers inside of TLS, the preferred first.
    protocols: Vec<Vec<u8>>,
    /// In written order, each with where it comes from.
    certificates: Vec<(CertificateSource, Arc<Certificate>)>,
    min: TlsMin,
    clients: Option<ClientAuthority>,
}

impl Door {
    /// The certificates with where they come from, without stand-ins for what is there.
    fn in_use(&self, there: &[Arc<Certificate>]) -> impl Iterator<Item = &(CertificateSource, Arc<Certificate>)> {
        let is_there = |host: &String| there.iter().any(|it| it.facts().names.hosts.contains(host));
        self.certificates.iter().filter(move |(source, _)| match source {
            CertificateSource::StandIn { hosts } => !hosts.iter().all(is_there),
            CertificateSource::Files { .. } | CertificateSource::Own { .. } => true,
        })
    }

    /// The one for clients that name no host, or one that none covers: the first as written, whatever came from elsewhere;
    /// where that is a stand-in, what it stands for as soon as that is there.
    fn default(&self, there: &[Arc<Certificate>]) -> Option<Arc<Certificate>> {
        let (source, first) = self.certificates.first()?;
        let for_its_hosts = match source {
            CertificateSource::StandIn { hosts } => {
                there.iter().find(|it| hosts.iter().any(|host| it.facts().names.hosts.contains(host)))
            }
            CertificateSource::Files { .. } | CertificateSource::Own { .. } => None,
        };
        Some(Arc::clone(for_its_hosts.unwrap_or(first)))
    }
}

/// The side towards a pool's servers, and what it was made of.
#[derive(Clone, PartialEq)]
struct Way {
    trust: Trust,
    min: TlsMin,
    identity: Option<Arc<Certificate>>,
    speaks_http2: bool,
}

impl Tls {
    /// None yet. Tickets are those of all who have the secret, or of this process alone.
    pub(crate) fn new(secret: Option<&[u8]>) -> Self {
        Self {
            tickets: secret.map_or_else(TicketKeys::of_chance, TicketKeys::derive),
            state: State::none(),
            own: HashMap::new(),
            listeners: HashMap::new(),
            pools: HashMap::new(),
            acceptors: HashMap::new(),
            connectors: HashMap::new(),
            installed: HashMap::new(),
        }
    }

    /// The same, whose next ones keep there what the program makes itself.
    pub(crate) fn keeping(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// The same, whose next ones make tickets for all who have that secret. Clients with tickets of before prove themselves
    /// anew.
    pub(crate) fn sharing(&self, secret: &[u8]) -> Self {
        Self { tickets: TicketKeys::derive(secret), ..self.clone() }
    }

    /// That of a configuration which follows.
    ///
    /// # Errors
    /// Everything that cannot be used.
    pub(crate) fn next(&self, config: &Config, loaded: &Loaded) -> Result<Self, Vec<Diagnostic>> {
        let mut next = Self::new(None).keeping(self.state.clone());
        next.tickets = self.tickets.clone();
        let mut found = Vec::new();
        for (listener, tls) in config.listeners.iter().filter_map(|it| Some((it, it.tls.as_ref()?))) {
            match self.door(listener, tls, &mut next.own, loaded) {
                Ok(door) => {
                    next.listeners.insert(listener.name.clone(), door);
                }
                Err(wrong) => found.extend(wrong),
            }
        }
        for (pool, tls) in config.pools.iter().filter_map(|it| Some((it, it.tls.as_ref()?))) {
            match self.way(pool, tls, &mut next) {
                Ok(()) => {}
                Err(cause) => found.push(loaded.pool_tls(Code::E434, &pool.name, &cause)),
            }
        }
        if found.is_empty() {
            next.adopt(self);
            next.rebuild_all()
                .map_err(|(listener, cause)| vec![loaded.client_authority_unusable(&listener, &cause)])?;
        }
        if found.is_empty() { Ok(next) } else { Err(found) }
    }

    /// Takes over what came from elsewhere than files, for the listeners that are still there. What is running may have
    /// got some since this one was prepared.
    pub(crate) fn adopt(&mut self, running: &Self) {
        let kept = running.installed.iter().filter(|(listener, _)| self.listeners.contains_key(*listener));
        let kept: HashMap<_, _> = kept.map(|(listener, it)| (listener.clone(), it.clone())).collect();
        let changed: Vec<ListenerName> =
            kept.keys().filter(|name| self.installed.get(*name) != kept.get(*name)).cloned().collect();
        self.installed = kept;
        for listener in changed {
            // Its authority was used before, and is the same.
            let _ = self.rebuild(&listener);
        }
    }

    /// Gives a listener certificates from elsewhere than files, instead of those that it got so before.
    ///
    /// # Errors
    /// In a sentence, where it has no TLS.
    pub(crate) fn install(&mut self, listener: &ListenerName, installed: Installed) -> Result<(), String> {
        if !self.listeners.contains_key(listener) {
            return Err(format!("there is no listener `{listener}` with TLS"));
        }
        self.installed.insert(listener.clone(), installed);
        self.rebuild(listener)
    }

    /// Makes those of our own anew that are near their end at that time since 1970. Gives the listeners that show others
    /// from now on, in the order of their names.
    ///
    /// # Errors
    /// In a sentence, where one could not be made.
    pub(crate) fn renew_own(&mut self, now: Duration) -> Result<Vec<ListenerName>, String> {
        for (hosts, certificate) in self.own.iter_mut().filter(|(_, it)| !own::is_usable(it, now)) {
            *certificate = own::find_or_make(&self.state, hosts, now)?;
        }
        let mut touched = Vec::new();
        for (name, door) in &mut self.listeners {
            for (source, certificate) in &mut door.certificates {
                let (CertificateSource::Own { hosts } | CertificateSource::StandIn { hosts }) = source else {
                    continue;
                };
                if let Some(made) = self.own.get(hosts).filter(|made| *made != certificate) {
                    *certificate = Arc::clone(made);
                    touched.push(name.clone());
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for name in &touched {
            self.rebuild(name)?;
        }
        Ok(touched)
    }

    /// How long it takes until one of our own is near its end.
    pub(crate) fn own_usable_for(&self, now: Duration) -> Duration {
        self.own.values().map(|certificate| own::usable_for(certificate, now)).min().unwrap_or(Duration::MAX)
    }

    /// What listeners use.
    pub(crate) fn acceptors(&self) -> &HashMap<ListenerName, Arc<Acceptor>> {
        &self.acceptors
    }

    /// What the way to servers uses.
    pub(crate) fn connectors(&self) -> &HashMap<PoolName, Arc<Connector>> {
        &self.connectors
    }

    /// Every certificate that is shown, by listener in the order of their names.
    pub(crate) fn shown(&self) -> Vec<ShownCertificate> {
        let mut names: Vec<&ListenerName> = self.listeners.keys().collect();
        names.sort_unstable();
        let mut shown = Vec::new();
        let now = clock::unix_now().as_secs();
        for name in names {
            let there = self.installed.get(name).map(|it| it.certificates.as_slice()).unwrap_or_default();
            let installed = there.iter().map(|it| (named("acme", &it.facts().names.hosts), it));
            let written = self.listeners.get(name).into_iter().flat_map(|door| door.in_use(there));
            let every = installed.chain(written.map(|(source, it)| (source_name(source), it)));
            shown.extend(every.map(|(source, certificate)| ShownCertificate::of(name, source, certificate, now)));
        }
        shown
    }

    /// Listeners that are in both and show other certificates than `before`, and pools whose files differ.
    pub(crate) fn renewed(&self, before: &Self) -> (Vec<ListenerName>, Vec<PoolName>) {
        let is_other = |name: &&ListenerName| {
            let now = self.acceptors.get(*name).map(|it| it.certificates());
            let then = before.acceptors.get(*name).map(|it| it.certificates());
            then.is_some() && now != then
        };
        let mut listeners: Vec<ListenerName> = self.acceptors.keys().filter(is_other).cloned().collect();
        listeners.sort_unstable();
        let is_other = |name: &&PoolName| {
            let then = before.pools.get(*name);
            then.is_some() && self.pools.get(*name) != then
        };
        let mut pools: Vec<PoolName> = self.pools.keys().filter(is_other).cloned().collect();
        pools.sort_unstable();
        (listeners, pools)
    }

    fn door(
        &self,
        listener: &Listener,
        tls: &ListenerTls,
        own: &mut HashMap<Vec<String>, Arc<Certificate>>,
        loaded: &Loaded,
    ) -> Result<Door, Vec<Diagnostic>> {
        let mut found = Vec::new();
        let mut certificates = Vec::new();
        for (index, source) in tls.certificates.iter().enumerate() {
            match self.certificate(source, own) {
                Ok(certificate) => certificates.push((source.clone(), certificate)),
                Err(cause) => found.push(loaded.certificate_unusable(&listener.name, index, &cause)),
            }
        }
        for acme in &tls.acme {
            let binding = acme.binding.as_ref().map(|binding| binding_key(binding).map(drop));
            let ca = acme.ca.as_ref().map(|ca| read_chain(ca).map(drop));
            let stand_in = CertificateSource::StandIn { hosts: acme.hosts.clone() };
            let index = tls.certificates.iter().position(|source| *source == stand_in).unwrap_or_default();
            let causes = [binding, ca].into_iter().flatten().filter_map(Result::err);
            found.extend(causes.map(|cause| loaded.certificate_unusable(&listener.name, index, &cause)));
        }
        let clients = tls.clients.as_ref().and_then(|clients| match read_chain(&clients.ca) {
            Ok(roots) => Some(ClientAuthority { roots, is_required: clients.required }),
            Err(cause) => {
                found.push(loaded.client_authority_unusable(&listener.name, &cause));
                None
            }
        });
        if !found.is_empty() {
            return Err(found);
        }
        let protocols = match &listener.tcp {
            None => PROTOCOLS.iter().map(|name| name.to_vec()).collect(),
            // What is passed on has those that the operator knows its servers to speak.
            Some(_) => tls.alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        };
        Ok(Door { protocols, certificates, min: tls.min, clients })
    }

    fn certificate(
        &self,
        source: &CertificateSource,
        own: &mut HashMap<Vec<String>, Arc<Certificate>>,
    ) -> Result<Arc<Certificate>, String> {
        match source {
            CertificateSource::Files { cert, key, staple } => {
                let staple = staple.as_deref().map(read).transpose()?;
                read_certificate(cert, key, staple)
            }
            CertificateSource::Own { hosts } | CertificateSource::StandIn { hosts } => {
                let now = clock::unix_now();
                let known = self.own.get(hosts).filter(|it| own::is_usable(it, now)).or_else(|| own.get(hosts));
                let made = known.map_or_else(|| own::find_or_make(&self.state, hosts, now), |it| Ok(Arc::clone(it)))?;
                own.insert(hosts.clone(), Arc::clone(&made));
                Ok(made)
            }
        }
    }

    /// Puts the way to a pool's servers into `next`. One that nothing changed is kept: its connections go on.
    fn way(&self, pool: &Pool, tls: &PoolTls, next: &mut Self) -> Result<(), String> {
        let trust = match (tls.verify, &tls.ca) {
            (false, _) => Trust::Anybody,
            (true, Some(ca)) => Trust::Roots(read_chain(ca)?),
            (true, None) => Trust::of_system()?,
        };
        let identity = tls.identity.as_ref().map(|(cert, key)| read_certificate(cert, key, None)).transpose()?;
        let speaks_http2 = pool.protocol == ServerProtocol::Http2;
        let way = Way { trust, min: tls.min, identity, speaks_http2 };
        let known = self.connectors.get(&pool.name).filter(|_| self.pools.get(&pool.name) == Some(&way));
        let connector = match known {
            Some(known) => Arc::clone(known),
            None => Arc::new(Connector::new(ConnectorOptions {
                trust: way.trust.clone(),
                min: version(way.min),
                identity: way.identity.clone(),
                protocols: if speaks_http2 { vec![HTTP2.to_vec()] } else { Vec::new() },
            })?),
        };
        next.pools.insert(pool.name.clone(), way);
        next.connectors.insert(pool.name.clone(), connector);
        Ok(())
    }

    fn rebuild_all(&mut self) -> Result<(), (ListenerName, String)> {
        let names: Vec<ListenerName> = self.listeners.keys().cloned().collect();
        for name in names {
            self.rebuild(&name).map_err(|cause| (name, cause))?;
        }
        Ok(())
    }

    fn rebuild(&mut self, listener: &ListenerName) -> Result<(), String> {
        let Some(door) = self.listeners.get(listener) else { return Ok(()) };
        let installed = self.installed.get(listener).cloned().unwrap_or_default();
        let there = &installed.certificates;
        let written = door.in_use(there).map(|(_, certificate)| certificate);
        let every = CertificateSet::new(there.iter().chain(written).map(Arc::clone).collect());
        let certificates = match door.default(there) {
            Some(default) => every.with_default(default),
            None => every,
        };
        let acceptor = Acceptor::new(AcceptorOptions {
            certificates: certificates.with_challenges(installed.challenges),
            min: version(door.min),
            clients: door.clients.clone(),
            tickets: self.tickets.clone(),
            protocols: door.protocols.clone(),
        })?;
        self.acceptors.insert(listener.clone(), Arc::new(acceptor));
        Ok(())
    }
}

fn version(min: TlsMin) -> TlsVersion {
    match min {
        TlsMin::Tls12 => TlsVersion::Tls12,
        TlsMin::Tls13 => TlsVersion::Tls13,
    }
}

fn source_name(source: &CertificateSource) -> String {
    match source {
        CertificateSource::Files { cert, .. } => cert.display().to_string(),
        CertificateSource::Own { .. } => "self".to_owned(),
        CertificateSource::StandIn { hosts } => named("stand-in", hosts),
    }
}

/// One listener may have several of a kind: they are told from each other by their first hosts.
fn named(kind: &str, hosts: &[String]) -> String {
    format!("{kind}:{}", hosts.first().map_or("", String::as_str))
}

fn read_certificate(cert: &Path, key: &Path, staple: Option<Vec<u8>>) -> Result<Arc<Certificate>, String> {
    let (chain, secret) = (read(cert)?, read(key)?);
    let read = Certificate::read(&chain, &secret, staple);
    read.map(Arc::new).map_err(|error| {
        use evenkeel_net::tls::CertificateError as E;
        let file = if matches!(error, E::NoKey { .. } | E::UnknownKey(_)) { key } else { cert };
        format!("`{}`: {error}", file.display())
    })
}

/// The certificates of a file.
///
/// # Errors
/// In a sentence with the file's path.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<evenkeel_net::tls::CertificateDer<'static>>, String> {
    chain_of(&read(path)?).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("`{}`: {}", path.display(), words(&error));
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > caps::CERTIFICATE_FILE_BYTES {
        let most = caps::CERTIFICATE_FILE_BYTES;
        return Err(format!("`{}` has {size} bytes, and a file of certificates has at most {most}", path.display()));
    }
    files::read_plain(path, usize::try_from(caps::CERTIFICATE_FILE_BYTES).unwrap_or(usize::MAX)).map_err(fail)
}

#[cfg(test)]
mod tests;
