//! Connections of ours that lead to listeners of ours, so that a request that goes round comes to an end.
//!
//! A listener may well be the server of another one. Where it is its own, or two are each other's, one request would
//! open connections until no descriptor is left for anybody. No field of a request tells of it; but the connection on
//! which it comes is one that this process opened, and stands here under the address of its near end, with the number of
//! listeners that were passed before. The invariant: a connection is noted before the first byte of a request goes into it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::clock;

use crate::error::Kind;
use crate::snapshot::Snapshot;
use crate::wire::Stream;

/// How long a connection counts after a request went into it; longer than one waits to be accepted.
const FRESH: Duration = Duration::from_secs(60);

/// By their near ends: how many of our listeners what comes over it has passed, and when it was used last.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    noted: Mutex<HashMap<SocketAddr, (u32, Duration)>>,
}

impl Rounds {
    /// Notes that what came from `client` goes on into a connection whose near end is `near`, and which others may use at the
    /// same time; whether it may.
    fn pass(&self, client: SocketAddr, near: SocketAddr, is_shared: bool, now: Duration) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |(_, used): &(u32, Duration)| now.saturating_sub(*used) < FRESH;
        let depth = |end: SocketAddr| noted.get(&end).filter(|it| is_fresh(it)).map_or(0, |(depth, _)| *depth);
        let own = depth(canonical(client)).saturating_add(1);
        // One that carries many requests counts as the deepest of them.
        let passed = if is_shared { own.max(depth(near)) } else { own };
        if noted.len() >= caps::OWN_ROUNDS_KEPT {
            noted.retain(|_, it| is_fresh(it));
        }
        noted.insert(near, (passed, now));
        passed <= caps::OWN_ROUNDS
    }
}

/// Whether what came from `client` may go on to this server.
///
/// # Errors
/// Where it has come round too often.
pub(crate) fn pass(
    rounds: &Rounds,
    snapshot: &Snapshot,
    client: SocketAddr,
    server: &Stream,
    is_shared: bool,
) -> Result<(), Kind> {
    let (near, far) = (canonical(server.local_addr()), canonical(server.peer_addr()));
    let is_own = (near.ip() == far.ip() || far.ip().is_loopback()) && snapshot.listens_at(far);
    if is_own && !rounds.pass(client, near, is_shared, clock::now()) {
        return Err(Kind::Loop);
    }
    Ok(())
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn what_goes_round_comes_to_an_end_and_what_goes_through_does_not() {
        let (rounds, now) = (Rounds::default(), Duration::from_secs(7));
        let passed = (1..100).take_while(|port| rounds.pass(end(port - 1), end(*port), false, now)).count();
        assert_eq!(passed, caps::OWN_ROUNDS as usize);
        // Its address may be somebody else's later.
        assert!(rounds.pass(end(8), end(200), false, now + FRESH));
        for _ in 0..100 {
            assert!(rounds.pass(end(1000), end(1001), true, now), "one that is kept is no deeper for it");
        }
        // What two listeners send to each other and back, by connections that are kept and change their places.
        for round in 0..100 {
            let [there, again] = if round % 2 == 0 { [1, 3] } else { [3, 1] };
            let way =
                [0, there, 2, again].windows(2).all(|at| rounds.pass(end(2000 + at[0]), end(2000 + at[1]), false, now));
            assert!(way, "round {round}");
        }
        // A stream that goes round on the connection of others is as deep as it is, whatever these are.
        let goes_round = |_: &u32| {
            let passed = rounds.pass(end(3000), end(3000), true, now);
            passed && rounds.pass(end(1), end(3000), true, now)
        };
        assert!((0..100).take_while(goes_round).count() <= caps::OWN_ROUNDS as usize);
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let rounds = Rounds::default();
        for number in 0..20_000 {
            assert!(rounds.pass(end(1), end(2 + number), false, Duration::from_secs(u64::from(number))));
        }
        assert!(rounds.noted.lock().unwrap().len() <= caps::OWN_ROUNDS_KEPT);
    }
}
