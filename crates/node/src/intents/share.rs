//! Orders that nodes of a cluster share: one that is given on any of them holds on all.
//!
//! An order and its lifting bear a stamp, and the newest counts, however often and in whatever order they are heard. What
//! a node's own file or the end of its time lifts is marked here and told to nobody: the other nodes have the same file
//! and the same end. The invariant: merging what was merged before changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::Config;
use serde::{Deserialize, Serialize};

use super::{Intent, Intents, Ordered, Overridden, find};

/// When an order was given: by the clock of its node, but later than all that was known there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// In milliseconds since 1970.
    at: u64,
    /// The node, so that no two are the same.
    node: u32,
}

/// An order that was lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) stamp: Stamp,
    /// Whether the others hear of it.
    pub(super) is_told: bool,
}

/// What a node tells of its orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldIntents {
    servers: BTreeMap<String, Intent>,
    lifted: BTreeMap<String, Stamp>,
}

/// An order of another node that counts here now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) id: String,
    /// The whole sentence.
    pub(crate) text: String,
}

impl Intents {
    /// None yet; `me` is this node's id where orders are shared.
    pub(crate) fn shared_as(me: Option<u32>) -> Self {
        Self { me: me.unwrap_or_default(), ..Self::default() }
    }

    /// From now on orders are shared under this id.
    pub(super) fn join(&mut self, me: u32) {
        self.me = me;
        // Those that were ordered before there was a cluster are as old as they are.
        for intent in self.servers.values_mut().filter(|intent| intent.stamp == Stamp::default()) {
            intent.stamp = Stamp { at: intent.since.saturating_mul(1000), node: me };
        }
    }

    /// What the other nodes are told.
    pub(crate) fn told(&self) -> ToldIntents {
        let lifted = self.lifted.iter().filter(|(_, mark)| mark.is_told);
        ToldIntents {
            servers: self.servers.clone(),
            lifted: lifted.map(|(id, mark)| (id.clone(), mark.stamp)).collect(),
        }
    }

    /// Takes what another node tells, as far as it is newer and the configuration has the server.
    pub(crate) fn merge(&mut self, told: &ToldIntents, from: &str, config: &Config) -> Vec<Merged> {
        let mut merged = Vec::new();
        for (id, theirs) in &told.servers {
            let Some(server) = find(config, id) else { continue };
            if self.known(id) >= theirs.stamp {
                continue;
            }
            let node = theirs.node.clone().or_else(|| Some(from.to_owned()));
            let overrides = Overridden { state: Ordered::of(server.standing), weight: server.weight };
            let why = theirs.why.as_deref().map(super::cut);
            let intent = Intent { node, overrides, why, by: super::cut(&theirs.by), ..theirs.clone() };
            let why = intent.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            merged.push(Merged {
                id: id.clone(),
                text: format!("{} orders {} for {id}{why}", intent.who(), intent.words()),
            });
            self.lifted.remove(id);
            self.servers.insert(id.clone(), intent);
        }
        for (id, stamp) in &told.lifted {
            if self.known(id) >= *stamp {
                continue;
            }
            if self.servers.remove(id).is_some() {
                merged.push(Merged {
                    id: id.clone(),
                    text: format!("what was ordered for {id} is lifted on node {from}"),
                });
            }
            self.mark(id, Mark { stamp: *stamp, is_told: true });
        }
        merged
    }

    /// A stamp that is newer than all that is known.
    pub(super) fn next_stamp(&self, now: Duration) -> Stamp {
        let known = self.servers.values().map(|intent| intent.stamp);
        let latest = known.chain(self.lifted.values().map(|mark| mark.stamp)).max().unwrap_or_default();
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Stamp { at: at.max(latest.at.saturating_add(1)), node: self.me }
    }

    /// Remembers that an order was lifted, the newest of them if they are many.
    pub(super) fn mark(&mut self, id: &str, mark: Mark) {
        if self.me == 0 {
            return;
        }
        self.lifted.insert(id.to_owned(), mark);
        while self.lifted.len() > caps::INTENT_MARKS {
            let oldest = self.lifted.iter().min_by_key(|(_, mark)| mark.stamp).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { return };
            self.lifted.remove(&oldest);
        }
    }

    pub(super) fn stamps(&self) -> BTreeMap<String, Stamp> {
        self.servers.iter().map(|(id, intent)| (id.clone(), intent.stamp)).collect()
    }

    /// Marks what was there and is no more, for this node alone.
    pub(super) fn settle(&mut self, before: BTreeMap<String, Stamp>) {
        for (id, stamp) in before {
            if !self.servers.contains_key(&id) {
                self.mark(&id, Mark { stamp, is_told: false });
            }
        }
    }

    /// The newest that is known of a server.
    fn known(&self, id: &str) -> Stamp {
        let ordered = self.servers.get(id).map(|intent| intent.stamp);
        let lifted = self.lifted.get(id).map(|mark| mark.stamp);
        ordered.max(lifted).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};
    use evenkeel_model::config::Standing;

    use super::*;
    use crate::intents::Wish;

    const A: &str = " server a 10.0.0.1:80 weight=4\n";

    fn config(servers: &str) -> Config {
        let text = format!("http :1 {{\n route * to=shop\n}}\npool shop {{\n{servers}}}\n");
        load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default()).config.unwrap()
    }

    fn node(me: u32) -> Intents {
        Intents::shared_as(Some(me))
    }

    fn order(intents: &mut Intents, config: &Config, standing: Standing, at: u64) {
        let pool = &config.pools[0];
        let id = pool.id_of(&pool.servers[0]);
        let wish = Wish { standing: Some(standing), ..Wish::default() };
        intents.order(&id, &pool.servers[0], &wish, "ops", Duration::from_secs(at));
    }

    fn words(intents: &Intents) -> Option<String> {
        intents.servers.get("shop/a").map(|intent| format!("{} by {}", intent.words(), intent.who()))
    }

    /// Each tells the other, as often as it likes.
    fn share(one: &mut Intents, two: &mut Intents, config: &Config) {
        for _ in 0..2 {
            two.merge(&one.told(), "lb1", config);
            one.merge(&two.told(), "lb2", config);
        }
    }

    #[test]
    fn an_order_of_one_node_holds_on_both_and_either_lifts_it() {
        let config = config(A);
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &config, Standing::Drain, 100);
        share(&mut one, &mut two, &config);
        assert_eq!(words(&one).as_deref(), Some("drain by ops"));
        assert_eq!(words(&two).as_deref(), Some("drain by ops on node lb1"));
        assert_eq!(two.merge(&one.told(), "lb1", &config), []);
        order(&mut two, &config, Standing::Ready, 101);
        share(&mut one, &mut two, &config);
        assert_eq!((words(&one), words(&two)), (None, None));
    }

    #[test]
    fn the_newest_order_wins_whichever_clock_is_behind() {
        let config = config(A);
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &config, Standing::Drain, 100);
        order(&mut two, &config, Standing::Maintenance, 200);
        share(&mut one, &mut two, &config);
        assert_eq!(
            (words(&one).unwrap(), words(&two).unwrap()),
            ("maint by ops on node lb2".into(), "maint by ops".into())
        );
        // Its clock is behind, but it knows what it overrides.
        order(&mut one, &config, Standing::Drain, 50);
        share(&mut one, &mut two, &config);
        assert_eq!(words(&two).as_deref(), Some("drain by ops on node lb1"));
    }

    #[test]
    fn what_was_lifted_while_a_node_was_away_stays_lifted_when_it_comes_back() {
        let config = config(A);
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &config, Standing::Drain, 100);
        share(&mut one, &mut two, &config);
        let kept = one.to_json();
        order(&mut two, &config, Standing::Ready, 150);
        let mut one = Intents::of_kept(&kept, Some(1)).unwrap();
        let mut two = Intents::of_kept(&two.to_json(), Some(2)).unwrap();
        share(&mut one, &mut two, &config);
        assert_eq!((words(&one), words(&two)), (None, None));
    }

    #[test]
    fn what_a_file_lifts_is_lifted_where_that_file_runs_and_nowhere_else() {
        let (old, new) = (config(A), config(" server a 10.0.0.1:80 maint\n server b 10.0.0.2:80\n"));
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &old, Standing::Maintenance, 100);
        share(&mut one, &mut two, &old);
        assert_eq!(one.adopt(&new).len(), 1);
        one.merge(&two.told(), "lb2", &new);
        two.merge(&one.told(), "lb1", &old);
        assert_eq!((words(&one), words(&two).as_deref()), (None, Some("maint by ops on node lb1")));
        two.adopt(&new);
        share(&mut one, &mut two, &new);
        assert_eq!((words(&one), words(&two)), (None, None));
    }

    #[test]
    fn what_a_new_file_lifts_at_a_start_does_not_come_back_from_the_other_node() {
        let (old, new) = (config(A), config(" server a 10.0.0.1:80 maint\n"));
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &old, Standing::Drain, 100);
        share(&mut one, &mut two, &old);
        let mut one = Intents::of_kept(&one.to_json(), Some(1)).unwrap();
        assert_eq!(one.adopt(&new).len(), 1);
        one.merge(&two.told(), "lb2", &new);
        assert_eq!(words(&one), None);
    }

    #[test]
    fn an_order_for_a_server_that_is_not_known_yet_is_taken_when_it_is() {
        let (old, new) = (config(" server b 10.0.0.2:80\n"), config(A));
        let (mut one, mut two) = (node(1), node(2));
        order(&mut one, &new, Standing::Drain, 100);
        assert_eq!(two.merge(&one.told(), "lb1", &old), []);
        assert_eq!(two.merge(&one.told(), "lb1", &new).len(), 1);
    }

    #[test]
    fn marks_are_as_many_as_their_cap_and_the_newest_stay() {
        let mut one = node(1);
        for at in 0..caps::INTENT_MARKS as u64 + 10 {
            one.mark(&format!("shop/{at}"), Mark { stamp: Stamp { at, node: 1 }, is_told: true });
        }
        assert_eq!(one.lifted.len(), caps::INTENT_MARKS);
        assert!(!one.lifted.contains_key("shop/9") && one.lifted.contains_key("shop/10"));
    }
}
