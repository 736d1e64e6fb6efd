//! Servers that both nodes need.

use super::*;

/// Both hear each other for that long.
fn wait(first: &mut Node, second: &mut Node, now: &mut Duration, long: Duration) {
    let until = *now + long;
    while *now < until {
        *now += DEAD / 20;
        step(first, second, *now, Outcome::Ok);
    }
}

/// An owner that gives others three dead times to see what it sees.
fn settled_with_lag() -> (Node, Node, Duration) {
    let (mut first, mut second, now) = settled();
    for node in [&mut first, &mut second] {
        node.apply(now, Change::Lag(DEAD * 3));
    }
    (first, second, now)
}

#[test]
fn servers_that_go_and_come_for_both_at_each_ones_own_moment_move_nothing() {
    let (mut first, mut second, mut now) = settled_with_lag();
    // All of them, and half of them.
    for score in [0, 40, 0, 40] {
        first.apply(now, Change::Score(score));
        wait(&mut first, &mut second, &mut now, DEAD * 5 / 2);
        second.apply(now, Change::Score(score));
        wait(&mut first, &mut second, &mut now, DEAD * 8);
        second.apply(now, Change::Score(100));
        wait(&mut first, &mut second, &mut now, DEAD * 5 / 2);
        first.apply(now, Change::Score(100));
        wait(&mut first, &mut second, &mut now, DEAD * 8);
    }
    let view = first.view(now).groups.remove(0);
    assert_eq!((view.role, view.epoch), (Role::Owner, 1), "{:?}", view.cause);
}

#[test]
fn servers_of_one_node_alone_move_its_group_when_the_other_had_the_time_to_miss_them() {
    let (mut first, mut second, mut now) = settled_with_lag();
    first.apply(now, Change::Score(0));
    wait(&mut first, &mut second, &mut now, DEAD * 5 / 2);
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
    wait(&mut first, &mut second, &mut now, DEAD * 2);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);
}

#[test]
fn a_node_that_itself_fails_to_serve_gives_its_group_up_at_once() {
    let (mut first, mut second, mut now) = settled_with_lag();
    first.apply(now, Change::Lag(Duration::ZERO));
    first.apply(now, Change::Score(0));
    wait(&mut first, &mut second, &mut now, DEAD / 2);
    assert_eq!(second.view(now).groups[0].role, Role::Owner);
}

#[test]
fn much_more_or_less_capacity_of_a_peer_is_seen_and_its_death_is_not_taken_for_that() {
    let (mut first, mut second, mut now) = settled();
    let worth = |first: &mut Node, second: &mut Node, now: &mut Duration, score: u8| {
        second.apply(*now, Change::Score(score));
        wait(first, second, now, DEAD / 2);
        first.worths(*now)[1]
    };
    let seen = [100, 60, 49, 1, 0, 100].map(|score| worth(&mut first, &mut second, &mut now, score));
    assert_eq!(seen, [2, 2, 1, 1, 0, 2].map(Some));
    assert_eq!(first.worths(now + DEAD * 2)[1], None);
    assert_eq!(first.worths(now)[0], None, "that is this node itself");
}
