//! Bad luck from a seed: which cluster, what befalls it and when.
//!
//! The invariant: after the time of [`CHAOS`] everything is mended, so that what is wrong later is the cluster's own doing.

use std::time::Duration;

use evenkeel_cluster::{Change, Mode};

use super::host::Habit;
use super::world::{Shape, World};
use crate::chance::Chance;

/// How long things go wrong, in dead times.
pub const CHAOS: u32 = 12;
/// How long the cluster has to come to rest: the start of a node, a vote that holds, a step that hangs, a failback.
pub const REST: Duration = Duration::from_secs(16);
/// How long it must stay at rest.
pub const QUIET: Duration = Duration::from_secs(3);

/// What a run showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The seed that repeats it.
    pub seed: u64,
    /// What must not be.
    pub wrong: String,
}

/// Runs the world of a seed to its end; with it what was wrong first.
pub fn run(seed: u64) -> (World, Option<Finding>) {
    let mut chance = Chance::new(seed ^ 0xc1a5_7e12);
    let shape = shape(&mut chance);
    let has_reloads = chance.below(4) == 0;
    let mut world = World::new(shape, seed);
    let end = world.now + world.shape.timing.dead * CHAOS;
    for host in 0..world.hosts.len() {
        world.start(host);
        // They rarely start at the same moment.
        world.run(Duration::from_millis(part(&mut chance, 400)));
    }
    while world.now < end {
        match chance.below(if has_reloads { 3 } else { 1 }) {
            0 => befall(&mut world, &mut chance),
            _ => reload(&mut world, &mut chance),
        }
        let pause = world.shape.timing.dead.mul_f64(part(&mut chance, 90) as f64 / 100.0);
        world.run(pause);
    }
    mend(&mut world);
    world.run(REST);
    let (restful, moves) = (world.now, world.watch.moves.len());
    world.run(QUIET);
    let finding = judge(&world, restful, moves).err().map(|wrong| Finding { seed, wrong });
    (world, finding)
}

fn part(chance: &mut Chance, bound: usize) -> u64 {
    u64::try_from(chance.below(bound)).unwrap_or(0)
}

fn shape(chance: &mut Chance) -> Shape {
    let mut shape = Shape::pair();
    shape.nodes = 2 + chance.below(3);
    if shape.nodes > 2 && chance.below(2) == 0 {
        shape.mode = Mode::Safe;
        shape.has_witness = chance.below(2) == 0;
    }
    shape.failback = (chance.below(2) == 0).then_some(Duration::from_secs(2));
    shape.groups = 1 + chance.below(2);
    shape.scripts = chance.below(3);
    if chance.below(8) == 0 {
        shape.timing.every = Duration::from_millis(20);
        shape.timing.warn = Duration::from_millis(50);
        shape.timing.dead = Duration::from_millis(80);
        shape.timing.init = Duration::from_millis(500);
    }
    shape
}

/// Another file, or another machine that reads it: sometimes one that cannot have what is new in it.
fn reload(world: &mut World, chance: &mut Chance) {
    let size = world.hosts.len();
    let host = chance.below(size);
    if chance.below(3) > 0 {
        world.edit();
    }
    match chance.below(4) {
        0 => world.reload(host),
        1 => {
            world.hosts[host].habit = [Habit::Good, Habit::NoStart][chance.below(2)];
            world.reload(host);
        }
        _ => (0..size).for_each(|host| world.reload(host)),
    }
}

fn befall(world: &mut World, chance: &mut Chance) {
    let size = world.hosts.len();
    let (host, other) = (chance.below(size), chance.below(size));
    let group = chance.below(world.file.parts.len().max(1));
    match chance.below(24) {
        0 => world.crash(host),
        1 => {
            let stopping = world.shape.timing.dead / 10 * u32::try_from(chance.below(30)).unwrap_or(0);
            world.crash_supervised(host, stopping);
        }
        2..=5 => (0..size).for_each(|host| world.start(host)),
        6 | 7 => world.pause(host, world.shape.timing.dead / 10 * u32::try_from(chance.below(40)).unwrap_or(0)),
        8 => world.links.link(host, other).is_cut = true,
        9 => {
            world.links.link(host, other).is_cut = true;
            world.links.link(other, host).is_cut = true;
        }
        10 | 11 => world.links.all().for_each(|link| link.is_cut = false),
        12 => {
            let (loss, doubles, delay) = (chance.below(31), chance.below(30), 1 + part(chance, 20));
            for link in world.links.all() {
                (link.loss, link.doubles, link.delay) = (loss, doubles, Duration::from_millis(delay));
            }
        }
        13 => world.tell(host, Change::Score(u8::try_from(chance.below(101)).unwrap_or(0))),
        14 => world.tell(host, Change::Reaches(chance.below(2) == 0)),
        15 => world.tell(host, Change::Takeover { group }),
        16 => world.tell(host, Change::Standby { group }),
        17 => world.tell(host, Change::Ready { group }),
        18 => world.hosts[host].habit = [Habit::Good, Habit::NoStart, Habit::NoStop, Habit::Hangs][chance.below(4)],
        19 => {
            let is_lost = chance.below(3) > 0;
            let change = if is_lost { Change::CarrierLost { group } } else { Change::CarrierBack { group } };
            world.tell(host, change);
        }
        20 => world.tell(host, Change::Broken { group, resource: 0 }),
        21 => world.place(host, false),
        22 => world.place(host, true),
        _ => world.replay(),
    }
}

/// Makes everything well, and lifts what failures and orders left behind.
fn mend(world: &mut World) {
    world.links.all().for_each(|link| *link = super::links::Link::default());
    for host in 0..world.hosts.len() {
        world.hosts[host].habit = Habit::Good;
        world.hosts[host].paused_until = None;
        world.place(host, true);
        world.start(host);
        world.reload(host);
        world.run(Duration::from_millis(3));
        world.tell(host, Change::Score(100));
        world.tell(host, Change::Reaches(true));
        (0..world.file.parts.len()).for_each(|group| world.tell(host, Change::Ready { group }));
    }
    // A step that hung is over after this; what failed in between is lifted again.
    world.run(Duration::from_secs(8));
    for host in 0..world.hosts.len() {
        (0..world.file.parts.len()).for_each(|group| world.tell(host, Change::Ready { group }));
    }
}

fn judge(world: &World, restful: Duration, moves: usize) -> Result<(), String> {
    if let Some((at, wrong)) = world.watch.wrongs.first() {
        return Err(format!("at {at:?}: {wrong} ({:?})", world.shape));
    }
    for address in 0..world.addresses() {
        let owners = world.owners(address);
        if owners.len() != usize::from(world.file.has(address)) {
            return Err(format!("address {address} is owned by {owners:?} after all was mended ({:?})", world.shape));
        }
    }
    if world.watch.moves.len() > moves {
        let late: Vec<_> = world.watch.moves.iter().filter(|moved| moved.at >= restful).collect();
        return Err(format!("no rest after all was mended: {late:?} ({:?})", world.shape));
    }
    Ok(())
}
