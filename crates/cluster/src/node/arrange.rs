//! Other settings while the node goes on: times, preferences, and groups of nothing but addresses.
//!
//! The invariant: an address that stands in a group before and after is not taken away, and no group is claimed in
//! ignorance of what was heard of it.

use std::time::Duration;

use super::Node;
use crate::action::Action;
use crate::duty::Duty;
use crate::event::{Cause, Event};
use crate::settings::Settings;

impl Node {
    /// Other settings from now on, and the highest claims that were written down for their groups. Whether they follow;
    /// where they cannot, nothing has changed.
    ///
    /// Actions name groups by their new places from [`Action::Arrange`] on, and changes do from this call on.
    pub fn change_settings(&mut self, now: Duration, settings: Settings, claims: &[u64]) -> bool {
        let Some(origins) = self.settings.origins(&settings) else { return false };
        // What a pause has this node do concerns the groups as they were.
        self.wake(now);
        self.arrange(now, settings, origins);
        for (group, claim) in claims.iter().enumerate() {
            self.remember_epoch(group, *claim);
        }
        // Others may have told of a group before we had it.
        for member in 0..self.peers.len() {
            if self.is_heard(now, member) {
                self.learn(now, member);
            }
        }
        // The addresses live for as long as the old times say: the next renewal may come too late for that.
        self.duties.iter_mut().for_each(|duty| duty.renewed_at = Duration::ZERO);
        self.hurry(now);
        self.turn(now);
        true
    }

    fn arrange(&mut self, now: Duration, settings: Settings, origins: Vec<Option<usize>>) {
        let before = std::mem::replace(&mut self.settings, settings);
        let mut duties: Vec<Option<Duty>> = std::mem::take(&mut self.duties).into_iter().map(Some).collect();
        for (group, origin) in origins.iter().enumerate() {
            let known = origin.and_then(|at| Some((before.groups.get(at)?, duties.get_mut(at)?.take()?)));
            let next = self.settings.groups.get(group).map_or(&[][..], |group| &group.resources);
            let Some((known, mut duty)) = known else {
                self.duties.push(Duty::new(now));
                continue;
            };
            duty.steps.follow(&known.resources, next);
            self.duties.push(duty);
        }
        self.actions.push_back(Action::Arrange { origins });
        for (group, duty) in before.groups.iter().zip(duties) {
            if duty.is_some_and(|duty| duty.role.holds()) {
                self.note(Event::Stops(group.name.clone(), Cause::Unlisted));
                self.note(Event::Stopped(group.name.clone()));
            }
        }
    }
}
