//! A network that is gone for long.

use super::*;

#[test]
fn what_is_tried_while_the_network_is_gone_counts_for_nothing_once_it_is_back() {
    let mut alone = node(0, 1, &[b'k'; 32]);
    let mut now = Duration::ZERO;
    let mut tries = 0;
    alone.apply(now, Change::CarrierLost { group: 0 });
    while tries < 12 {
        now += DEAD / 20;
        alone.handle_timeout(now);
        while let Some(action) = alone.poll_action() {
            match action {
                Action::Start { number, .. } => {
                    tries += 1;
                    // As the guard tells it: first that the network is gone, then that nothing came of it.
                    alone.apply(now, Change::CarrierLost { group: 0 });
                    alone.apply(now, Change::Done { number, outcome: Outcome::Failed });
                }
                Action::Stop { number, .. } => alone.apply(now, Change::Done { number, outcome: Outcome::Ok }),
                _ => {}
            }
        }
    }
    alone.apply(now, Change::CarrierBack { group: 0 });
    let back = now;
    while alone.view(now).groups[0].role != Role::Owner {
        now += DEAD / 20;
        assert!(now - back <= DEAD * 2, "{:?} after the network is back", alone.view(now).groups[0].role);
        alone.handle_timeout(now);
        carry_out(&mut alone, now);
    }
}
