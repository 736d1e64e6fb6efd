//! From a token to a server, and to the word for the log.

use evenkeel_model::config::Balance;
use evenkeel_model::{ServerName, State};

use super::{Bond, StickyOutcome, resolve};
use crate::{FULL_RAMP, Member, Plan, ServerIndex, ServerUid, Token};

fn member(name: &str, state: State) -> Member {
    Member { id: ServerName::new(name).unwrap(), weight: 1, backup: false, state, has_address: true, ramp: FULL_RAMP }
}

fn token(name: &str) -> Token {
    Token::new(ServerUid::of(&ServerName::new(name).unwrap()), 1, 1_800_000_000)
}

#[test]
fn a_token_leads_to_its_server_while_that_may_keep_it() {
    let members = [
        member("up", State::Up),
        member("draining", State::Draining),
        member("down", State::Down),
        member("maint", State::Maintenance),
        member("unknown", State::Unknown),
    ];
    let plan = Plan::new(&members, &Balance::RoundRobin, true, [0; 16]);
    let cases = [
        ("up", Bond::Bound(ServerIndex(0))),
        ("draining", Bond::Bound(ServerIndex(1))),
        ("down", Bond::Lost),
        ("maint", Bond::Lost),
        ("unknown", Bond::Bound(ServerIndex(4))),
        ("gone", Bond::Lost),
    ];
    for (name, expected) in cases {
        assert_eq!(resolve(Some(&token(name)), &plan), expected, "{name}");
    }
    assert_eq!(resolve(None, &plan), Bond::Unbound);
}

#[test]
fn a_bond_survives_while_the_whole_pool_is_down_and_tried_all_the_same() {
    let members = [member("a", State::Down), member("b", State::Maintenance)];
    let open = Plan::new(&members, &Balance::RoundRobin, true, [0; 16]);
    let closed = Plan::new(&members, &Balance::RoundRobin, false, [0; 16]);
    assert_eq!(resolve(Some(&token("a")), &open), Bond::Bound(ServerIndex(0)));
    assert_eq!(resolve(Some(&token("b")), &open), Bond::Lost);
    assert_eq!(resolve(Some(&token("a")), &closed), Bond::Lost);
}

#[test]
fn the_log_says_how_a_session_was_found() {
    let (own, other) = (ServerIndex(1), ServerIndex(2));
    let cases = [
        (Bond::Unbound, own, StickyOutcome::New, "new"),
        (Bond::Bound(own), own, StickyOutcome::Hit, "hit"),
        (Bond::Bound(own), other, StickyOutcome::Moved, "moved"),
        (Bond::Lost, own, StickyOutcome::Lost, "lost"),
    ];
    for (bond, answered, expected, word) in cases {
        assert_eq!(bond.outcome(answered), expected);
        assert_eq!(expected.as_str(), word);
    }
    assert_eq!(StickyOutcome::None.as_str(), "none");
}
