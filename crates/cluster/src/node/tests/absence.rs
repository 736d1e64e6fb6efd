//! No own address is on the machine.

use super::*;

fn is_announced(wanted: &[Action]) -> bool {
    wanted.contains(&Action::Announce { group: 0 })
}

#[test]
fn who_cannot_be_heard_takes_no_order_to_take_over_and_says_why() {
    let (_, mut second, now) = settled();
    let takeover = Change::Takeover { group: 0 };
    assert_eq!(second.refusal(now, takeover), None);
    second.apply(now, Change::Present(false));
    assert!(second.refusal(now, takeover).is_some_and(|why| why.contains("no own address")));
    second.apply(now, Change::Present(true));
    assert_eq!(second.refusal(now, takeover), None);
}

#[test]
fn an_owner_that_cannot_be_told_whose_the_group_is_does_not_contend_for_it() {
    let (mut first, _, now) = settled();
    first.apply(now, Change::ForeignOwner { group: 0 });
    assert!(is_announced(&carry_out(&mut first, now).1));
    first.apply(now, Change::Present(false));
    first.apply(now, Change::ForeignOwner { group: 0 });
    let wanted = carry_out(&mut first, now).1;
    assert!(!is_announced(&wanted), "{wanted:?}");
    assert_eq!(first.view(now).groups[0].role, Role::Owner, "the address may be back in a moment");
    let gone = now + DEAD * 5 / 4;
    first.handle_timeout(gone);
    let wanted = carry_out(&mut first, gone).1;
    assert!(wanted.contains(&Action::Withdraw { group: 0 }), "{wanted:?}");
    let view = first.view(gone);
    assert_eq!(
        (view.phase, view.groups[0].role, view.groups[0].cause.clone()),
        (Phase::Listening, Role::Idle, Cause::Absent)
    );
}

#[test]
fn what_nobody_takes_is_renewed_and_nothing_else_is_claimed() {
    let key = [b'k'; 32];
    let (mut first, mut second, mut now) = settle(node(0, 1, &key), node(1, 2, &key));
    first.apply(now, Change::Present(false));
    second.apply(now, Change::Present(false));
    let (mut renewed_at, until) = (now, now + DEAD * 20);
    while now < until {
        now = first.poll_timeout().min(second.poll_timeout());
        for node in [&mut first, &mut second] {
            node.handle_timeout(now);
        }
        if carry_out(&mut first, now).1.contains(&Action::Renew { group: 0 }) {
            renewed_at = now;
        }
        assert!(now - renewed_at <= DEAD / 2, "its lifetime ends at {now:?}");
        carry_out(&mut second, now);
        assert_eq!(second.view(now).groups[0].role, Role::Idle);
    }
    assert_eq!(first.view(now).groups[0].role, Role::Owner);
}
