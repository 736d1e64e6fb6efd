//! What the thread for TCP does beside answering: notices to secondaries, looks at delegations.
//!
//! Hundreds of zones may change at one reload, and a party that is asked may be silent for a minute. So what is to be done
//! waits here for its turn. The invariants: nothing that was asked for is lost; a newer errand takes the place of one
//! for the same that still waits; at most [`caps::DNS_ERRANDS`] are under way, and of those one party has a share, so that
//! one that is silent does not hold up the others.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_dns::Name;
use evenkeel_model::caps;
use tokio::sync::Notify;

use super::delegation::{self, Delegation};
use super::notice::{self, Notice};

/// Something to be done.
pub(super) enum Errand {
    /// A secondary is to be told that a zone has changed.
    Tell(Notice),
    /// The delegation of a zone is to be looked at.
    Test(Delegation),
}

/// What an errand is about: of two with the same one, the newer counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    Notice(Name),
    Delegation(Name),
}

impl Errand {
    /// Who is asked.
    fn party(&self) -> SocketAddr {
        match self {
            Self::Tell(notice) => notice.to,
            Self::Test(delegation) => delegation.resolver,
        }
    }

    fn about(&self) -> About {
        match self {
            Self::Tell(notice) => About::Notice(notice.zone.clone()),
            Self::Test(delegation) => About::Delegation(delegation.zone.clone()),
        }
    }

    async fn run(self) {
        match self {
            Self::Tell(notice) => notice::send(notice).await,
            Self::Test(delegation) => delegation::check(delegation).await,
        }
    }
}

/// What waits, and how much of it is under way.
#[derive(Default)]
pub(super) struct Errands {
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: BTreeMap<SocketAddr, BTreeMap<About, Errand>>,
    under_way: HashMap<SocketAddr, usize>,
}

impl Errands {
    /// Adds what is to be done.
    pub(super) fn add(&self, errands: impl IntoIterator<Item = Errand>) {
        let mut queue = self.queue();
        for errand in errands {
            queue.waiting.entry(errand.party()).or_default().insert(errand.about(), errand);
        }
        drop(queue);
        self.news.notify_one();
    }

    /// Drops what waits and is not wanted any more, so that no more waits than one configuration asks for.
    pub(super) fn keep(&self, is_wanted: impl Fn(&About, SocketAddr) -> bool) {
        for (party, waiting) in &mut self.queue().waiting {
            waiting.retain(|about, _| is_wanted(about, *party));
        }
    }

    /// Does what waits, as long as the thread runs.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            while let Some((errand, place)) = self.take() {
                tokio::task::spawn_local(async move {
                    errand.run().await;
                    drop(place);
                });
            }
            self.news.notified().await;
        }
    }

    /// The next errand whose party has room.
    fn take(self: &Arc<Self>) -> Option<(Errand, Place)> {
        let mut queue = self.queue();
        let Queue { waiting, under_way } = &mut *queue;
        if under_way.values().sum::<usize>() >= caps::DNS_ERRANDS {
            return None;
        }
        let has_room = |party: &SocketAddr, next: &About| {
            let most = match next {
                About::Notice(_) => caps::DNS_PARTY_ERRANDS,
                // One after the other: a resolver is nobody's to be flooded.
                About::Delegation(_) => 1,
            };
            under_way.get(party).is_none_or(|count| *count < most)
        };
        let next = |(party, all): (&SocketAddr, &BTreeMap<About, Errand>)| {
            all.first_key_value().is_some_and(|(about, _)| has_room(party, about)).then_some(*party)
        };
        let party = waiting.iter().find_map(next)?;
        let (_, errand) = waiting.get_mut(&party)?.pop_first()?;
        waiting.retain(|_, all| !all.is_empty());
        *under_way.entry(party).or_default() += 1;
        Some((errand, Place { errands: Arc::clone(self), party }))
    }

    /// A panic while it is held leaves it whole: nothing between its steps can panic.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An errand's place among those under way; given back when it is done.
struct Place {
    errands: Arc<Errands>,
    party: SocketAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.errands.queue();
        if let Some(count) = queue.under_way.get_mut(&self.party) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                queue.under_way.remove(&self.party);
            }
        }
        drop(queue);
        self.errands.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use evenkeel_dns::wire::Message;
    use tokio::net::UdpSocket;
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    const ZONES: usize = 300;

    fn zone(number: usize) -> Name {
        format!("zone{number}.example.").parse().unwrap()
    }

    fn notice(number: usize, serial: u32, to: SocketAddr) -> Errand {
        Errand::Tell(Notice { zone: zone(number), serial, to, key: None })
    }

    async fn secondary() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = socket.local_addr().unwrap();
        (socket, at)
    }

    /// Answers every notice, until as many zones were told of.
    async fn hear(socket: &UdpSocket, count: usize) -> BTreeSet<String> {
        let (mut told, mut bytes) = (BTreeSet::new(), [0; 512]);
        while told.len() < count {
            let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
            bytes[2] |= 0x80;
            told.insert(Message::read(&bytes[..length]).unwrap().questions[0].name.to_string());
            socket.send_to(&bytes[..length], from).await.unwrap();
        }
        told
    }

    #[test]
    fn every_secondary_hears_of_every_zone_while_another_is_silent() {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let (silent, silent_at) = secondary().await;
            let (quick, quick_at) = secondary().await;
            let errands = Arc::new(Errands::default());
            // The silent one comes first in any order.
            errands.add((0..ZONES).map(|number| notice(number, 1, silent_at)));
            errands.add((0..ZONES).map(|number| notice(number, 1, quick_at)));
            let running = tokio::task::spawn_local(Arc::clone(&errands).run());
            let told = hear(&quick, ZONES).await;
            assert_eq!(told, (0..ZONES).map(|number| zone(number).to_string()).collect());
            let queue = errands.queue();
            let under_way = queue.under_way.get(&silent_at).copied();
            assert!(under_way.is_some_and(|count| count <= caps::DNS_PARTY_ERRANDS), "{under_way:?}");
            let waiting = queue.waiting.get(&silent_at).map_or(0, BTreeMap::len);
            assert!(waiting + caps::DNS_PARTY_ERRANDS >= ZONES, "none is given up: {waiting}");
            drop(queue);
            running.abort();
            drop(silent);
        });
    }

    #[test]
    fn what_waits_is_bounded_by_what_is_asked_for() {
        let (a, b): (SocketAddr, SocketAddr) = ("192.0.2.1:53".parse().unwrap(), "192.0.2.2:53".parse().unwrap());
        let errands = Arc::new(Errands::default());
        for serial in 1..=50 {
            errands.add((0..4).flat_map(|number| [notice(number, serial, a), notice(number, serial, b)]));
        }
        errands.keep(|about, party| party == a || *about == About::Notice(zone(3)));
        let left = |errands: &Errands| errands.queue().waiting.values().map(BTreeMap::len).sum::<usize>();
        assert_eq!(left(&errands), 5);
        let mut taken = Vec::new();
        while let Some((errand, place)) = errands.take() {
            let Errand::Tell(notice) = errand else { panic!("a notice") };
            assert_eq!(notice.serial, 50, "the newest counts");
            taken.push(place);
        }
        assert_eq!((taken.len(), left(&errands)), (5, 0));
        errands.add((0..caps::DNS_PARTY_ERRANDS).map(|number| notice(number, 51, a)));
        let more: Vec<_> = std::iter::from_fn(|| errands.take()).collect();
        assert_eq!(more.len(), caps::DNS_PARTY_ERRANDS - 4, "one party has its share and no more");
        drop((taken, more));
        assert!(errands.queue().under_way.is_empty(), "places are given back");
    }
}
