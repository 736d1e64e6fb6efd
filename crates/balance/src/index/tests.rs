//! Sets of servers, against a plain list.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert_eq, proptest};

use super::{ServerIndex, ServerSet};

fn positions() -> impl Strategy<Value = Vec<u16>> {
    let near_borders =
        prop_oneof![Just(0), Just(63), Just(64), Just(127), Just(128), Just(1023), 0..1024_u16, any::<u16>()];
    prop::collection::vec(near_borders, 0..40)
}

proptest! {
    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else(put in positions(), asked in positions()) {
        let mut set = ServerSet::new();
        put.iter().for_each(|position| set.insert(ServerIndex(*position)));
        let expected: BTreeSet<u16> = put.iter().copied().collect();
        prop_assert_eq!(set.len(), expected.len());
        prop_assert_eq!(set.is_empty(), expected.is_empty());
        for position in put.iter().chain(&asked) {
            prop_assert_eq!(set.contains(ServerIndex(*position)), expected.contains(position));
        }
        set.clear();
        prop_assert_eq!(set.len(), 0);
        prop_assert_eq!(put.iter().any(|position| set.contains(ServerIndex(*position))), false);
    }
}

#[test]
fn a_set_of_the_first_64_allocates_nothing() {
    let mut set = ServerSet::new();
    (0..64).for_each(|position| set.insert(ServerIndex(position)));
    assert_eq!(set.len(), 64);
    assert_eq!(set.rest.capacity(), 0);
}
