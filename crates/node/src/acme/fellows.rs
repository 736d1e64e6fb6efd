//! The other nodes of a cluster, as far as certificates go: what each has told last, and who orders.
//!
//! Two nodes have an order in common where authority and hosts are the same; what differs beside that (listener, challenge,
//! mail) is each node's own affair. The invariant: of one order all who hear each other see the same node as the one that
//! orders, and what was told and cannot be used is as if it had not been told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::Cluster;
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;
use serde::{Deserialize, Serialize};

use super::Key;
use super::kept::{self, Papers};
use crate::cluster::{Desk, Topic};

/// How long after its start, or after another node was lost, a node that does not hear all of them orders nothing: whoever
/// has what it lacks may be about to say so.
const GRACE: Duration = Duration::from_secs(20);

/// How long an order rests when it is new in a configuration: the other nodes may be about to get it, too.
const SETTLING: Duration = Duration::from_secs(3);

/// After so many failures of one node the next one tries.
const TRIES: u32 = 3;

/// What an order is about, on whichever node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    directory: String,
    /// In the order of letters.
    hosts: Vec<String>,
}

impl Subject {
    pub(super) fn of(key: &Key) -> Self {
        Self::new(&key.directory, &key.hosts)
    }

    fn new(directory: &str, hosts: &[String]) -> Self {
        let mut hosts = hosts.to_vec();
        hosts.sort_unstable();
        hosts.dedup();
        Self { directory: directory.to_owned(), hosts }
    }
}

/// What a node tells of an order.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldOrder {
    directory: String,
    hosts: Vec<String>,
    /// Whether it is under way there.
    #[serde(default)]
    pub(super) is_ordering: bool,
    /// How often it failed there since it last did not.
    #[serde(default)]
    pub(super) failures: u32,
    /// When the authority told that node to renew, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<u64>,
    /// The certificate for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) papers: Option<Papers>,
}

impl ToldOrder {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { directory: subject.directory.clone(), hosts: subject.hosts.clone(), ..Self::default() }
    }
}

/// What authorities are to be shown for a node, and what it shows for others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldProofs {
    /// Grows with each change of what is to be shown.
    pub(super) number: u64,
    #[serde(flatten)]
    pub(super) proofs: Proofs,
    /// By node: the number up to which it is shown here.
    #[serde(default)]
    pub(super) seen: BTreeMap<String, u64>,
}

/// What authorities are to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Proofs {
    /// Over HTTP, by token.
    #[serde(default)]
    pub(super) tokens: Vec<(String, String)>,
    /// In TLS, by host.
    #[serde(default)]
    pub(super) digests: Vec<(String, Vec<u8>)>,
    /// By DNS, by host.
    #[serde(default)]
    pub(super) texts: Vec<(String, String)>,
}

/// Who might order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    /// Its place in the cluster's block.
    place: usize,
    is_ordering: bool,
    failures: u32,
}

/// Who orders: whoever has begun, so that nobody begins beside; else the first of those that have failed the least.
fn first(candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
    candidates.min_by_key(|it| (!it.is_ordering, it.failures / TRIES, it.place)).map(|it| it.place)
}

/// Whose turn it is to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Ours,
    Another(Arc<str>),
    /// Nobody knows before that time of the clock.
    Unknown(Duration),
}

/// A certificate that another node has told.
#[derive(Clone)]
pub(super) struct Heard {
    told: ToldOrder,
    certificate: Option<Arc<Certificate>>,
}

/// Another node.
#[derive(Default)]
struct Fellow {
    /// `None` until it has told them.
    orders: Option<BTreeMap<Subject, Heard>>,
    proofs: Option<ToldProofs>,
    challenges: Vec<(String, Arc<Certificate>)>,
    /// What is not said to be shown yet, of all that it told.
    owed: Changed,
}

/// The other nodes.
pub(crate) struct Fellows {
    me: Arc<str>,
    /// Every node that orders, by its place.
    nodes: Vec<(usize, Arc<str>)>,
    place: usize,
    heard: BTreeMap<Arc<str>, Fellow>,
    /// Since when nobody was lost.
    since: Duration,
    own: ToldProofs,
    desk: Option<Desk>,
    /// How many orders there was no room for when they were told last.
    left_out: usize,
}

/// What has changed of that which authorities are shown for another node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) tokens: bool,
    /// The hosts whose listeners show something else.
    pub(super) hosts: BTreeSet<String>,
    pub(super) texts: bool,
    /// What is to be said once it is shown.
    pub(super) number: Option<u64>,
}

impl Fellows {
    /// Those of a cluster, as `me` sees them; `None` where there is nobody to share with.
    pub(crate) fn of(cluster: &Cluster, me: &str) -> Option<Self> {
        let place = cluster.node(me)?;
        let serving = cluster.nodes.iter().enumerate().filter(|(_, node)| !node.is_witness);
        let nodes: Vec<(usize, Arc<str>)> = serving.map(|(place, node)| (place, Arc::clone(&node.name))).collect();
        let is_among = nodes.iter().any(|(known, _)| *known == place);
        (is_among && nodes.len() > 1).then(|| Self {
            me: me.into(),
            nodes,
            place,
            heard: BTreeMap::new(),
            since: clock::now(),
            own: ToldProofs {
                number: u64::try_from(clock::unix_now().as_millis()).unwrap_or(0),
                ..ToldProofs::default()
            },
            desk: None,
            left_out: 0,
        })
    }

    /// Where to tell from now on.
    pub(super) fn take_desk(&mut self, desk: Desk) {
        self.desk = Some(desk);
        self.tell_proofs();
    }

    /// Tells the orders of this node. What there is no room for is as if this node had it not: each orders that for itself.
    pub(super) fn tell_orders(&mut self, orders: impl Iterator<Item = ToldOrder>) {
        let Some(desk) = &self.desk else { return };
        let (mut paper, mut left_out) = (vec![b'['], 0);
        for order in orders {
            let Ok(written) = serde_json::to_vec(&order) else { continue };
            if paper.len() + written.len() + 2 > caps::SHARED_PAPER {
                left_out += 1;
                continue;
            }
            if paper.len() > 1 {
                paper.push(b',');
            }
            paper.extend(written);
        }
        paper.push(b']');
        desk.lay(Topic::Certificates, paper);
        if std::mem::replace(&mut self.left_out, left_out) != left_out && left_out > 0 {
            tracing::warn!("of {left_out} certificates the other nodes are not told: they are too many");
        }
    }

    /// Has the others show this to authorities. Gives the number by which they say that they do.
    pub(super) fn show(&mut self, proofs: Proofs) -> u64 {
        if self.own.proofs != proofs {
            self.own.number = self.own.number.saturating_add(1);
            self.own.proofs = proofs;
            self.tell_proofs();
        }
        self.own.number
    }

    /// Whether all who are heard show it.
    pub(super) fn is_shown(&self, number: u64) -> bool {
        self.late(number).is_none()
    }

    /// Who of those that are heard does not yet.
    pub(super) fn late(&self, number: u64) -> Option<&Arc<str>> {
        let has_seen = |told: &ToldProofs| told.seen.get(&*self.me).is_some_and(|seen| *seen >= number);
        let late = self.heard.iter().find(|(_, it)| it.proofs.as_ref().is_some_and(|told| !has_seen(told)));
        late.map(|(name, _)| name)
    }

    /// Says that what a node has to show is shown here, where that is still the last that it told: the change after it
    /// holds what was not said of this one.
    pub(super) fn saw(&mut self, from: &str, number: u64) {
        // Who was lost meanwhile counts anew.
        let Some(fellow) = self.heard.get_mut(from) else { return };
        if fellow.proofs.as_ref().is_some_and(|told| told.number == number) {
            fellow.owed = Changed::default();
            self.own.seen.insert(from.to_owned(), number);
            self.tell_proofs();
        }
    }

    /// Takes what a node tells of its orders. What cannot be used of it is given back in words.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn hear_orders(&mut self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<Vec<String>> {
        let all: Vec<ToldOrder> = serde_json::from_slice(bytes)?;
        let known = self.heard.entry(Arc::clone(from)).or_default();
        let before = known.orders.take().unwrap_or_default();
        let (mut orders, mut refused) = (BTreeMap::new(), Vec::new());
        for told in all {
            let subject = Subject::new(&told.directory, &told.hosts);
            let known = before.get(&subject).filter(|known| known.told.papers == told.papers);
            let certificate = match (known, &told.papers) {
                (Some(known), _) => known.certificate.clone(),
                (None, None) => None,
                (None, Some(papers)) => match usable(&subject, papers) {
                    Ok(certificate) => Some(certificate),
                    Err(cause) => {
                        let hosts = told.hosts.join(", ");
                        refused.push(format!("the certificate of node {from} for {hosts} is not used: {cause}"));
                        None
                    }
                },
            };
            orders.insert(subject, Heard { told, certificate });
        }
        known.orders = Some(orders);
        Ok(refused)
    }

    /// Takes what authorities are to be shown for a node. What is given back has to be shown, with what was not shown yet of
    /// what it told before.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn hear_proofs(&mut self, from: &Arc<str>, bytes: &[u8]) -> serde_json::Result<Changed> {
        let told: ToldProofs = serde_json::from_slice(bytes)?;
        let known = self.heard.entry(Arc::clone(from)).or_default();
        let before = known.proofs.take();
        let is_seen = before.as_ref().is_some_and(|before| before.number == told.number);
        let changed = known.change(&before.unwrap_or_default().proofs, &told.proofs);
        let number = told.number;
        known.proofs = Some(told);
        if is_seen {
            return Ok(changed);
        }
        known.owed.add(changed);
        Ok(Changed { number: Some(number), ..known.owed.clone() })
    }

    /// A node is not heard any more.
    pub(super) fn lose(&mut self, from: &str) -> Changed {
        let Some(mut lost) = self.heard.remove(from) else { return Changed::default() };
        self.since = clock::now();
        if self.own.seen.remove(from).is_some() {
            self.tell_proofs();
        }
        let before = lost.proofs.take().unwrap_or_default();
        lost.change(&before.proofs, &Proofs::default())
    }

    /// Who orders this, where this node has it as told, since that time of the clock.
    pub(super) fn turn(&self, subject: &Subject, own: &ToldOrder, begun: Duration) -> Turn {
        let now = clock::now();
        let has_told = |(place, name): &(usize, Arc<str>)| {
            *place == self.place || self.heard.get(name).is_some_and(|fellow| fellow.orders.is_some())
        };
        let mut known_at = begun + SETTLING;
        if !self.nodes.iter().all(has_told) {
            known_at = known_at.max(self.since + GRACE);
        }
        if now < known_at {
            return Turn::Unknown(known_at);
        }
        let me = Candidate { place: self.place, is_ordering: own.is_ordering, failures: own.failures };
        let others = self.nodes.iter().filter_map(|(place, name)| {
            let told = &self.heard_of(name, subject)?.told;
            Some(Candidate { place: *place, is_ordering: told.is_ordering, failures: told.failures })
        });
        let first = first(others.chain([me]));
        let another = self.nodes.iter().find(|(place, _)| Some(*place) == first && *place != self.place);
        another.map_or(Turn::Ours, |(_, name)| Turn::Another(Arc::clone(name)))
    }

    /// The certificates that others have told for this, with who has.
    pub(super) fn offers(&self, subject: &Subject) -> impl Iterator<Item = (&Arc<str>, &Papers, &Arc<Certificate>)> {
        self.nodes.iter().filter_map(move |(_, name)| {
            let heard = self.heard_of(name, subject)?;
            Some((name, heard.told.papers.as_ref()?, heard.certificate.as_ref()?))
        })
    }

    /// When an authority wants this certificate renewed, by what it told another node.
    pub(super) fn due(&self, subject: &Subject, mark: &[u8; 32]) -> Option<u64> {
        self.nodes.iter().find_map(|(_, name)| {
            let heard = self.heard_of(name, subject)?;
            heard.told.due.filter(|_| heard.certificate.as_ref().is_some_and(|it| it.mark() == mark))
        })
    }

    /// What authorities are to be shown for the others.
    pub(super) fn proofs(&self) -> impl Iterator<Item = &Proofs> {
        self.heard.values().filter_map(|fellow| Some(&fellow.proofs.as_ref()?.proofs))
    }

    /// The certificates that they are to be shown, by host.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &(String, Arc<Certificate>)> {
        self.heard.values().flat_map(|fellow| &fellow.challenges)
    }

    /// This node's name.
    pub(super) fn me(&self) -> &Arc<str> {
        &self.me
    }

    fn heard_of(&self, name: &Arc<str>, subject: &Subject) -> Option<&Heard> {
        self.heard.get(name)?.orders.as_ref()?.get(subject)
    }

    fn tell_proofs(&self) {
        if let (Some(desk), Ok(bytes)) = (&self.desk, serde_json::to_vec(&self.own)) {
            desk.lay(Topic::Proofs, bytes);
        }
    }
}

impl Fellow {
    /// Makes what is shown in TLS anew where that is another.
    fn change(&mut self, before: &Proofs, now: &Proofs) -> Changed {
        let mut changed =
            Changed { tokens: before.tokens != now.tokens, texts: before.texts != now.texts, ..Changed::default() };
        if before.digests != now.digests {
            changed.hosts = before.digests.iter().chain(&now.digests).map(|(host, _)| host.clone()).collect();
            let made = now.digests.iter().take(caps::ACME_HOSTS).filter_map(|(host, digest)| {
                let made = Certificate::for_challenge(host, digest);
                made.map_err(|error| tracing::warn!("an authority cannot be shown what it wants for {host}: {error}"))
                    .ok()
                    .map(|made| (host.clone(), Arc::new(made)))
            });
            self.challenges = made.collect();
        }
        changed
    }
}

impl Changed {
    fn add(&mut self, more: Self) {
        self.tokens |= more.tokens;
        self.hosts.extend(more.hosts);
        self.texts |= more.texts;
    }
}

/// Which of two certificates for the same hosts of the same authority is to be used: the one that was issued later.
pub(super) fn rank(certificate: &Certificate) -> (u64, u64, &[u8; 32]) {
    let facts = certificate.facts();
    (facts.not_before, facts.not_after, certificate.mark())
}

fn usable(subject: &Subject, papers: &Papers) -> Result<Arc<Certificate>, String> {
    let certificate = papers.certificate()?;
    match kept::uncovered(&subject.hosts, &certificate) {
        Some(host) => Err(format!("it is not for `{host}`")),
        None => Ok(certificate),
    }
}

#[cfg(test)]
pub(super) mod tests;
