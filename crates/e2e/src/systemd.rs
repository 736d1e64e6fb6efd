//! A manager of units on a machine of the lab: a real systemd, process 1 of namespaces of its own.
//!
//! It sees the machine's files read-only but for one folder, its own `/run`, its own tree of processes and a cgroup of its
//! own, and knows the units of that folder alone: never those of the machine, which would have it tidy up there.
//!
//! The invariant: it ends with its owner, killed by the kernel where the owner is, and its cgroup is removed by its owner or
//! by the next one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::network::Network;
use crate::place::Scratch;
use crate::process::Process;
use crate::{PATIENCE, await_for};

/// The program.
const PROGRAM: &str = "/lib/systemd/systemd";
/// What the names of our cgroups begin with; the id of the process that made them follows.
const GROUP: &str = "ektest";
/// The unit that it starts first, and that there has to be.
const TARGET: &str = "lab.target";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What runs before the manager, in its namespaces: `$1` is the folder that it may write to, `$2` the kind of cgroups, `$3` the
/// folder of its units.
const ENTER: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -t tmpfs -o mode=755 tmpfs /run
case "$2" in
    one) mount -t cgroup2 cgroup2 /sys/fs/cgroup ;;
    *)  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
        mkdir /sys/fs/cgroup/systemd
        mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd ;;
esac
exec env -i PATH="$PATH" container=evenkeel-lab SYSTEMD_UNIT_PATH="$3" SYSTEMD_GENERATOR_PATH=/nonexistent \
    SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info \
    /lib/systemd/systemd --system --unit=lab.target --show-status=no --default-standard-output=null
"#;

/// A running manager.
#[derive(Debug)]
pub struct Systemd {
    process: Process,
    /// Where a program of the name `systemctl` lies that speaks to it.
    tools: PathBuf,
    units: PathBuf,
    _group: Group,
}

impl Systemd {
    /// Starts one in the network of a machine, with a folder for its files.
    ///
    /// # Errors
    /// Why there can be none here, in words: then the test is to be skipped aloud.
    ///
    /// # Panics
    /// Where one could be had and does not start.
    pub fn start(network: &Network, host: u8, scratch: &Scratch) -> Result<Self, String> {
        if !Path::new(PROGRAM).exists() {
            return Err(format!("there is no {PROGRAM}"));
        }
        let group = Group::make()?;
        let folder = |what: &str| {
            let path = scratch.file(&format!("{what}{host}"));
            fs::create_dir_all(&path).expect("the scratch folder is ours");
            path
        };
        let (units, tools) = (folder("units"), folder("tools"));
        fs::write(units.join(TARGET), "[Unit]\nDefaultDependencies=no\n").expect("the scratch folder is ours");
        let line = format!(
            "echo $$ > {}/cgroup.procs && exec nsenter --net=/run/netns/{} unshare --mount --pid --ipc --uts --cgroup --fork \
             --kill-child --mount-proc sh -c '{ENTER}' enter {} {} {}",
            group.path.display(),
            network.space(host),
            scratch.path().display(),
            group.kind,
            units.display()
        );
        let output = scratch.file(&format!("systemd{host}"));
        let process = Process::start(&format!("systemd {host}"), "sh".as_ref(), &["-c", &line], scratch.path(), output);
        let mut manager = Self { process, tools, units, _group: group };
        manager.await_ready();
        Ok(manager)
    }

    /// Waits until it answers, and puts the program there that asks it.
    fn await_ready(&mut self) {
        let parent = self.process.id();
        let first = await_for("process 1 of the manager", PATIENCE, || {
            self.process.expect_running();
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
            children.split_whitespace().next().map(str::to_owned)
        });
        let tool = self.tools.join("systemctl");
        let text = format!("#!/bin/sh\nexec nsenter -t {first} -m -p -- /usr/bin/systemctl \"$@\"\n");
        fs::write(&tool, text).expect("the scratch folder is ours");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("the file was made just now");
        await_for("the manager to answer", PATIENCE, || {
            self.process.expect_running();
            self.asks(&["is-active", TARGET]).status.success().then_some(())
        });
    }

    /// The folder to put first into `PATH`, so that `systemctl` speaks to this one.
    pub fn tools(&self) -> &Path {
        &self.tools
    }

    /// Gives it a unit, or another text for one, and has it read it.
    ///
    /// # Panics
    /// Where it does not.
    pub fn give(&self, name: &str, text: &str) {
        fs::write(self.units.join(name), text).expect("the scratch folder is ours");
        self.reload();
    }

    /// Has it read its units anew.
    ///
    /// # Panics
    /// Where it does not.
    pub fn reload(&self) {
        let said = self.asks(&["daemon-reload"]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    /// What `systemctl` says.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn asks(&self, words: &[&str]) -> Output {
        Command::new(self.tools.join("systemctl")).args(words).output().expect("the program was put there")
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        let said = self.asks(&["show", &format!("--property={name}"), "--value", "--", unit]);
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// A cgroup of the machine, for a manager and what it runs.
#[derive(Debug)]
struct Group {
    path: PathBuf,
    /// `one`: of version 2 alone; `named`: the tree of version 1 that is systemd's.
    kind: &'static str,
}

impl Group {
    fn make() -> Result<Self, String> {
        let trees = [("/sys/fs/cgroup/systemd", "named"), ("/sys/fs/cgroup", "one")];
        let is_tree = |root: &str| Path::new(root).join("cgroup.procs").exists();
        let (root, kind) =
            trees.into_iter().find(|(root, _)| is_tree(root)).ok_or("no cgroups are mounted at /sys/fs/cgroup")?;
        sweep(Path::new(root));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(root).join(format!("{GROUP}{}x{number}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cgroups cannot be made in {root}: {error}"))?;
        Ok(Self { path, kind })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What was killed takes its moment to leave.
        for _ in 0..500 {
            remove(&self.path);
            if !self.path.exists() {
                return;
            }
            std::thread::sleep(crate::LOOK_AGAIN);
        }
        eprintln!("{} stays behind", self.path.display());
    }
}

/// Removes what tests left behind that were killed.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(GROUP).and_then(|rest| rest.split('x').next()?.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            remove(&entry.path());
        }
    }
}

/// Removes a cgroup with those below it, as far as nothing runs in them.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
