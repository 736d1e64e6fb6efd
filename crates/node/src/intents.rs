//! Intents: what an operator ordered at run time, a second, small, lasting layer over the configuration.
//!
//! Each intent remembers the configuration's value that it overrides. [`share`] holds what the nodes of a cluster make of
//! each other's. The invariant: the file is the truth, so that a reload in which the file changes just that value lifts the intent, and
//! says so; nothing else but an operator, on this node or another, or the end of its time, does.

mod share;

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_model::config::{Config, Server, Standing};
use evenkeel_model::{ServerId, caps, defaults};
use serde::{Deserialize, Serialize};

use share::Mark;
pub(crate) use share::{Stamp, ToldIntents};

/// What is ordered of a server; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The state: `Ready` lifts.
    pub standing: Option<Standing>,
    /// The share.
    pub weight: Option<WeightWish>,
    /// For how long.
    pub lasting: Option<Duration>,
    /// Why, in the operator's words.
    pub why: Option<String>,
}

/// A share that is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightWish {
    /// This one, 0 to 1000.
    Fixed(u16),
    /// So many percent of the configured one; 100 lifts.
    Percent(u16),
}

/// What an operator ordered of a server, and has not lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The state: `ready`, `drain` or `maint`. `None`: the configuration's.
    pub state: Option<Ordered>,
    /// The share. `None`: the configuration's.
    pub weight: Option<u16>,
    /// What the configuration said when it was overridden.
    overrides: Overridden,
    /// Why.
    pub why: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Until when the state lasts, if not until it is lifted.
    pub until: Option<u64>,
    /// Until when the share lasts, if not until it is lifted.
    pub weight_until: Option<u64>,
    /// On which node of the cluster, where that was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When, as all nodes of a cluster order it.
    #[serde(default)]
    stamp: Stamp,
}

/// That an operator drained this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDrain {
    /// Who ordered it.
    pub by: String,
    /// Why, in the operator's words.
    pub why: Option<String>,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// A state that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ordered {
    /// Serve, whatever the configuration says.
    Ready,
    /// Keep sessions, take no new ones.
    Drain,
    /// Take nothing.
    Maint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Overridden {
    state: Ordered,
    weight: u16,
}

/// An intent that ended by itself, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lifted {
    pub(crate) id: String,
    pub(crate) why: &'static str,
}

/// Every intent, by the server's full name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intents {
    servers: BTreeMap<String, Intent>,
    /// What was lifted, so that no other node brings it back. Empty without a cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lifted: BTreeMap<String, Mark>,
    /// That this node is drained, by whom and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeDrain>,
    /// This node's id in its cluster; 0 without one.
    #[serde(skip)]
    me: u32,
}

impl Intents {
    /// What is ordered of a server.
    pub(crate) fn of(&self, id: &ServerId) -> Option<&Intent> {
        self.servers.get(&id.to_string())
    }

    /// Takes an order. Ordered twice, it is as once.
    pub(crate) fn order(&mut self, id: &ServerId, server: &Server, wish: &Wish, by: &str, now: Duration) {
        let key = id.to_string();
        let before = self.servers.get(&key);
        let configured = Overridden { state: Ordered::of(server.standing), weight: server.weight };
        let mut intent = before.cloned().unwrap_or(Intent {
            state: None,
            weight: None,
            overrides: configured,
            why: None,
            by: by.to_owned(),
            since: now.as_secs(),
            until: None,
            weight_until: None,
            node: None,
            stamp: Stamp::default(),
        });
        let until = wish.lasting.map(|lasting| now.saturating_add(lasting).as_secs());
        match wish.standing.map(Ordered::of) {
            // Ready lifts everything that was ordered, a share that is ordered along with it excepted.
            Some(Ordered::Ready) => {
                intent.state = (configured.state != Ordered::Ready).then_some(Ordered::Ready);
                (intent.until, intent.weight, intent.weight_until) = (until, None, None);
            }
            Some(state) => (intent.state, intent.until) = (Some(state), until),
            None => {}
        }
        if let Some(weight) = wish.weight {
            (intent.weight, intent.weight_until) = (weight.of(server.weight), until);
        }
        intent.overrides = configured;
        intent.why = wish.why.clone().or(intent.why.filter(|_| wish.standing.is_none()));
        if before.is_some_and(|before| (before.state, before.weight) != (intent.state, intent.weight)) {
            (intent.by, intent.since, intent.node) = (by.to_owned(), now.as_secs(), None);
        }
        if before == Some(&intent) {
            return;
        }
        let stamp = self.next_stamp(now);
        if intent.state.is_none() && intent.weight.is_none() {
            // Also where nothing is known here: another node may know of an order that did not get here.
            self.servers.remove(&key);
            self.mark(&key, Mark { stamp, is_told: true });
        } else {
            self.lifted.remove(&key);
            self.servers.insert(key, Intent { stamp, ..intent });
        }
    }

    /// Whether this node is drained.
    pub(crate) fn node(&self) -> Option<&NodeDrain> {
        self.node.as_ref()
    }

    /// Takes an order for this node; `None` lifts it. Whether anything has changed.
    pub(crate) fn order_node(&mut self, drain: Option<NodeDrain>) -> bool {
        let is_same = match (&self.node, &drain) {
            (Some(before), Some(now)) => (&before.why, &before.by) == (&now.why, &now.by),
            (before, now) => before.is_none() && now.is_none(),
        };
        if !is_same {
            self.node = drain;
        }
        !is_same
    }

    /// Follows a changed configuration: where the file now says something else than what was overridden, the file wins.
    pub(crate) fn adopt(&mut self, config: &Config) -> Vec<Lifted> {
        let before = self.stamps();
        let mut lifted = Vec::new();
        self.servers.retain(|id, intent| {
            let Some(server) = find(config, id) else {
                lifted.push(Lifted { id: id.clone(), why: "the server is no longer in the configuration" });
                return false;
            };
            if intent.overrides.state != Ordered::of(server.standing) && intent.state.take().is_some() {
                lifted.push(Lifted { id: id.clone(), why: "the configuration now orders another state, and wins" });
            }
            if intent.overrides.weight != server.weight && intent.weight.take().is_some() {
                lifted.push(Lifted { id: id.clone(), why: "the configuration now gives another weight, and wins" });
            }
            intent.overrides = Overridden { state: Ordered::of(server.standing), weight: server.weight };
            intent.state.is_some() || intent.weight.is_some()
        });
        self.settle(before);
        lifted
    }

    /// Lifts what has lasted as long as was ordered.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Lifted> {
        let before = self.stamps();
        let mut lifted = Vec::new();
        let is_over = |until: &mut Option<u64>| until.take_if(|until| *until <= now.as_secs()).is_some();
        self.servers.retain(|id, intent| {
            if is_over(&mut intent.until) && intent.state.take().is_some() {
                lifted.push(Lifted { id: id.clone(), why: "the time of its state is over" });
            }
            if is_over(&mut intent.weight_until) && intent.weight.take().is_some() {
                lifted.push(Lifted { id: id.clone(), why: "the time of its weight is over" });
            }
            intent.state.is_some() || intent.weight.is_some()
        });
        self.settle(before);
        lifted
    }

    /// When the next one's time is over, in seconds since 1970.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.servers.values().flat_map(|intent| [intent.until, intent.weight_until]).flatten().min()
    }

    /// The file's bytes.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("maps with text for keys are JSON")
    }

    /// What a file holds; `me` is this node's id where orders are shared.
    pub(crate) fn of_kept(bytes: &[u8], me: Option<u32>) -> serde_json::Result<Self> {
        let mut kept: Self = serde_json::from_slice(bytes)?;
        me.into_iter().for_each(|me| kept.join(me));
        Ok(kept)
    }
}

impl WeightWish {
    /// The weight that it comes to; `None` where it is the configured one.
    fn of(self, configured: u16) -> Option<u16> {
        match self {
            Self::Fixed(weight) => Some(weight.min(defaults::WEIGHT_MAX)),
            Self::Percent(100) => None,
            Self::Percent(0) => Some(0),
            Self::Percent(percent) => {
                let share = u32::from(configured) * u32::from(percent) / 100;
                Some(u16::try_from(share).unwrap_or(u16::MAX).clamp(1, defaults::WEIGHT_MAX))
            }
        }
    }
}

impl Ordered {
    /// The state's word, as the command line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    fn of(standing: Standing) -> Self {
        match standing {
            Standing::Ready => Self::Ready,
            Standing::Drain => Self::Drain,
            Standing::Maintenance => Self::Maint,
        }
    }

    pub(crate) fn standing(self) -> Standing {
        match self {
            Self::Ready => Standing::Ready,
            Self::Drain => Standing::Drain,
            Self::Maint => Standing::Maintenance,
        }
    }
}

impl Intent {
    /// How much longer it lasts: until the first part of it ends.
    pub fn left(&self) -> Option<Duration> {
        let until = self.until.into_iter().chain(self.weight_until).min()?;
        Some(Duration::from_secs(until).saturating_sub(evenkeel_net::clock::unix_now()))
    }

    /// Who ordered it, and where, if that was elsewhere.
    pub fn who(&self) -> String {
        match &self.node {
            Some(node) => format!("{} on node {node}", self.by),
            None => self.by.clone(),
        }
    }

    /// In words: `drain`, `weight 2`, or both.
    pub(crate) fn words(&self) -> String {
        let state = self.state.map(|state| state.as_str().to_owned());
        let weight = self.weight.map(|weight| format!("weight {weight}"));
        state.into_iter().chain(weight).collect::<Vec<_>>().join(", ")
    }
}

/// A reason is cut to what fits a line.
pub(crate) fn cut(why: &str) -> String {
    why.chars().filter(|shown| !shown.is_control()).take(caps::INTENT_WHY_CHARS).collect()
}

fn find<'a>(config: &'a Config, id: &str) -> Option<&'a Server> {
    let (pool, server) = id.rsplit_once('/')?;
    let pool = config.pools.iter().find(|known| known.name.as_str() == pool)?;
    pool.servers.iter().find(|known| known.name.as_str() == server)
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};

    use super::*;

    fn config(servers: &str) -> Config {
        let text = format!("http :1 {{\n route * to=shop\n}}\npool shop {{\n{servers}}}\n");
        load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default()).config.unwrap()
    }

    fn ordered(config: &Config, wishes: &[Wish]) -> Intents {
        let mut intents = Intents::default();
        let pool = &config.pools[0];
        let id = pool.id_of(&pool.servers[0]);
        for wish in wishes {
            intents.order(&id, &pool.servers[0], wish, "ops", Duration::from_secs(100));
        }
        intents
    }

    fn state(standing: Standing) -> Wish {
        Wish { standing: Some(standing), ..Wish::default() }
    }

    fn weight(weight: WeightWish) -> Wish {
        Wish { weight: Some(weight), ..Wish::default() }
    }

    const A: &str = " server a 10.0.0.1:80 weight=4\n";

    #[test]
    fn an_order_given_twice_is_as_once_and_ready_lifts_it() {
        let config = config(A);
        let once = ordered(&config, &[state(Standing::Drain)]);
        assert_eq!(once, ordered(&config, &[state(Standing::Drain), state(Standing::Drain)]));
        assert_eq!(ordered(&config, &[state(Standing::Drain), state(Standing::Ready)]), Intents::default());
        let both = ordered(&config, &[weight(WeightWish::Percent(50)), state(Standing::Maintenance)]);
        let intent = both.servers.get("shop/a").unwrap();
        assert_eq!((intent.words().as_str(), intent.weight), ("maint, weight 2", Some(2)));
    }

    #[test]
    fn percent_is_of_the_configured_weight_and_a_hundred_lifts() {
        let config = config(A);
        for (percent, expected) in [(50, Some(2)), (1, Some(1)), (0, Some(0)), (100, None), (300, Some(12))] {
            let intents = ordered(&config, &[weight(WeightWish::Percent(percent))]);
            assert_eq!(intents.servers.get("shop/a").and_then(|intent| intent.weight), expected, "{percent} %");
        }
    }

    #[test]
    fn a_server_that_the_file_drains_can_be_ordered_ready() {
        let config = config(" server a 10.0.0.1:80 drain\n server b 10.0.0.2:80\n");
        let intents = ordered(&config, &[state(Standing::Ready)]);
        assert_eq!(intents.servers.get("shop/a").and_then(|intent| intent.state), Some(Ordered::Ready));
    }

    #[test]
    fn the_file_wins_where_it_changes_what_was_overridden_and_nowhere_else() {
        let mut intents = ordered(&config(A), &[state(Standing::Drain), weight(WeightWish::Fixed(1))]);
        assert_eq!(intents.adopt(&config(&format!("{A} server b 10.0.0.2:80\n"))), []);
        let lifted = intents.adopt(&config(" server a 10.0.0.1:80 weight=7\n"));
        assert!(lifted.len() == 1 && lifted[0].why.contains("weight"), "{lifted:?}");
        assert_eq!(intents.servers["shop/a"].words(), "drain");
        let lifted = intents.adopt(&config(" server a 10.0.0.1:80 weight=7 maint\n server b 10.0.0.2:80\n"));
        assert!(lifted.len() == 1 && lifted[0].why.contains("state"), "{lifted:?}");
        assert_eq!(intents, Intents::default());
    }

    #[test]
    fn what_was_ordered_for_a_time_ends_with_it() {
        let wish = Wish { lasting: Some(Duration::from_secs(60)), ..state(Standing::Drain) };
        let mut intents = ordered(&config(A), &[wish]);
        assert_eq!(intents.next_end(), Some(160));
        assert_eq!(intents.expire(Duration::from_secs(159)), []);
        assert_eq!(intents.expire(Duration::from_secs(160)).len(), 1);
        assert_eq!(intents, Intents::default());
    }

    #[test]
    fn a_weight_does_not_change_how_long_a_state_lasts() {
        let drain = Wish { lasting: Some(Duration::from_secs(60)), ..state(Standing::Drain) };
        let mut intents = ordered(&config(A), &[drain, weight(WeightWish::Fixed(1))]);
        assert_eq!(intents.next_end(), Some(160));
        assert_eq!(intents.expire(Duration::from_secs(160)).len(), 1);
        assert_eq!(intents.servers["shop/a"].words(), "weight 1");
        assert_eq!(intents.next_end(), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let intents = ordered(&config(A), &[Wish { why: Some("kernel".to_owned()), ..state(Standing::Drain) }]);
        assert_eq!(Intents::of_kept(&intents.to_json(), None).unwrap(), intents);
        assert!(Intents::of_kept(b"{\"servers\": 1}", None).is_err());
    }
}
