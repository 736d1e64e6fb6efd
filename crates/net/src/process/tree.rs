//! A process and everything that it started, ended together.
//!
//! The invariant: what is killed was found below the given process, or in its group or session; nothing else is touched.

use std::collections::HashSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// How often the tree is looked through for what was started while it was stopped: each pass stops what it finds, so
/// that the second finds nothing unless the first was raced.
const PASSES: usize = 8;

/// A process as the system lists it.
struct Listed {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
}

/// Kills a process that leads its own group, and everything that it started: its descendants, and what left the tree
/// but not the group or the session. Returns how many they were.
pub fn kill_tree(leader: u32) -> usize {
    let Some(leader) = i32::try_from(leader).ok().filter(|pid| *pid > 1) else { return 0 };
    let mut found: HashSet<i32> = HashSet::new();
    for _ in 0..PASSES {
        let fresh: Vec<i32> = members(leader, &found).into_iter().filter(|pid| !found.contains(pid)).collect();
        if fresh.is_empty() {
            break;
        }
        // Stopped first: what runs could start more while the rest is killed.
        for pid in &fresh {
            send(*pid, Signal::STOP);
        }
        found.extend(fresh);
    }
    for pid in &found {
        send(*pid, Signal::KILL);
    }
    found.len()
}

/// The processes of the tree: those known, what descends from them, and what shares the leader's group or session.
fn members(leader: i32, known: &HashSet<i32>) -> HashSet<i32> {
    let listed = list();
    let mut members: HashSet<i32> = listed
        .iter()
        .filter(|one| one.pid == leader || one.group == leader || one.session == leader || known.contains(&one.pid))
        .map(|one| one.pid)
        .collect();
    loop {
        let before = members.len();
        members
            .extend(listed.iter().filter(|one| members.contains(&one.parent)).map(|one| one.pid).collect::<Vec<_>>());
        if members.len() == before {
            return members;
        }
    }
}

fn list() -> Vec<Listed> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The second field is the program's name in parentheses, which may hold anything.
            let (_, rest) = stat.rsplit_once(')')?;
            let mut fields = rest.split_whitespace().skip(1).map(|field| field.parse::<i32>().ok());
            let (parent, group, session) = (fields.next()??, fields.next()??, fields.next()??);
            Some(Listed { pid, parent, group, session })
        })
        .collect()
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn is_alive(pid: i32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
    }

    #[test]
    fn children_and_those_who_left_the_group_die_with_the_leader() {
        // A child, a child in a session of its own, and one whose parent is gone.
        let script = "sleep 600 & echo $!; setsid sleep 600 & echo $!; (sleep 600 & echo $!); wait";
        let mut leader =
            Command::new("sh").args(["-c", script]).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = String::new();
        let mut out = leader.stdout.take().unwrap();
        while lines.lines().count() < 3 || !lines.ends_with('\n') {
            let mut piece = [0; 64];
            let count = std::io::Read::read(&mut out, &mut piece).unwrap();
            lines.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        let pids: Vec<i32> = lines.lines().map(|line| line.parse().unwrap()).collect();
        let deadline = clock::now() + Duration::from_secs(20);
        // `setsid` is a program on its way to another one; it is the same process.
        assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
        assert!(kill_tree(leader.id()) >= 4);
        leader.wait().unwrap();
        while pids.iter().any(|pid| is_alive(*pid)) {
            assert!(clock::now() < deadline, "{pids:?} live on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_that_is_gone_and_process_one_are_left_alone() {
        assert_eq!((kill_tree(0), kill_tree(1), kill_tree(u32::MAX)), (0, 0, 0));
    }
}
