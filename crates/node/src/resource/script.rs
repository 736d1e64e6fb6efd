//! Scripts of the three kinds that there are: how each is called, and what its answers mean.
//!
//! | kind | told by its place | status by | stopped is |
//! |---|---|---|---|
//! | Heartbeat | a directory `resource.d` | its output: `running` or `OK`, unless `not running` | any other output |
//! | OCF | below a directory `ocf` | exit status of `monitor`; arguments `name=value` become variables | 7 |
//! | LSB, systemd-less init, own | anywhere else | exit status of `status`, unless the output says `not running` | 3 |
//!
//! The invariant: what cannot be told is not taken for stopped.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use evenkeel_net::process;

use super::trust;
use crate::command::{Ended, Invocation, shortened};
use crate::origin::words;

/// What a resource says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It runs.
    Running(String),
    /// It does not.
    Stopped(String),
    /// It does not, and did not end as it should.
    Dead(String),
    /// It cannot be told.
    Unclear(String),
}

/// Where scripts find their programs. Ours may be shorter, or a user's own.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is asked of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heartbeat,
    Ocf,
    Lsb,
}

fn kind(path: &Path) -> Kind {
    let is_below = |name: &str| path.ancestors().skip(1).any(|dir| dir.file_name().is_some_and(|last| last == name));
    if is_below("ocf") {
        Kind::Ocf
    } else if path.parent().and_then(Path::file_name).is_some_and(|name| name == "resource.d") {
        Kind::Heartbeat
    } else {
        Kind::Lsb
    }
}

/// How a script is called.
pub(super) fn invocation(path: &Path, args: &[String], action: Action) -> Invocation {
    let kind = kind(path);
    let verb = match (action, kind) {
        (Action::Start, _) => "start",
        (Action::Stop, _) => "stop",
        (Action::Status, Kind::Ocf) => "monitor",
        (Action::Status, _) => "status",
    };
    let mut words = vec![path.display().to_string()];
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut environment = vec![variable("PATH", PATH), variable("LANG", "C.UTF-8"), variable("HOME", "/")];
    if kind == Kind::Ocf {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        environment.push(variable("OCF_ROOT", "/usr/lib/ocf"));
        environment.push(variable("OCF_RA_VERSION_MAJOR", "1"));
        environment.push(variable("OCF_RA_VERSION_MINOR", "0"));
        environment.push(variable("OCF_RESOURCE_TYPE", &name));
        environment.push(variable("OCF_RESOURCE_INSTANCE", &format!("{name}:{}", args.join("_"))));
        for (name, value) in args.iter().filter_map(|arg| arg.split_once('=')) {
            environment.push(variable(&format!("OCF_RESKEY_{name}"), value));
        }
    } else {
        words.extend(args.iter().cloned());
    }
    words.push(verb.to_owned());
    Invocation { words, environment: Some(environment) }
}

/// What the answer to `status` means.
pub(super) fn found(path: &Path, ended: &Ended) -> Found {
    let text = String::from_utf8_lossy(&ended.out).to_lowercase();
    let said = shortened(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default());
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let says_not = words.windows(2).any(|pair| pair == ["not", "running"]) || words.contains(&"notrunning");
    let says_so = words.contains(&"running") || words.contains(&"ok");
    let Some(code) = ended.status.code() else { return Found::Unclear(ended.sentence()) };
    match (kind(path), code) {
        (Kind::Heartbeat, _) if says_so && !says_not => Found::Running(said),
        (Kind::Heartbeat, _) => Found::Stopped(said),
        (Kind::Lsb, 0) if says_not => Found::Stopped(said),
        (Kind::Lsb, 0) | (Kind::Ocf, 0 | 8) => Found::Running(said),
        (Kind::Lsb, 3) | (Kind::Ocf, 7) => Found::Stopped(said),
        // LSB: dead with its pid file or its lock left behind. OCF: running and failed, or failed as the one in charge.
        (Kind::Lsb, 1 | 2) | (Kind::Ocf, 9) => Found::Dead(ended.sentence()),
        _ => Found::Unclear(ended.sentence()),
    }
}

/// Whether a script may be run: what others can change is not run with root's rights.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let about = std::fs::metadata(path).map_err(|error| format!("`{}`: {}", path.display(), words(&error)))?;
    if !about.is_file() || about.mode() & 0o111 == 0 {
        return Err(format!("`{}` is no program; `chmod +x` it", path.display()));
    }
    if process::is_root() { trust::check(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(code: i32, out: &str) -> Ended {
        Ended { status: ExitStatus::from_raw(code << 8), out: out.into(), err: Vec::new() }
    }

    #[test]
    fn each_kind_of_script_is_read_in_its_own_way() {
        let (running, stopped, dead, unclear) = ("running", "stopped", "dead", "unclear");
        let cases = [
            ("/etc/ha.d/resource.d/apache", 0, "Apache is running", running),
            ("/etc/ha.d/resource.d/apache", 3, "OK", running),
            ("/etc/ha.d/resource.d/apache", 0, "apache is NOT  running", stopped),
            ("/etc/ha.d/resource.d/apache", 0, "booked", stopped),
            ("/etc/ha.d/resource.d/apache", 0, "", stopped),
            ("/usr/lib/ocf/resource.d/heartbeat/Filesystem", 0, "", running),
            ("/usr/lib/ocf/resource.d/heartbeat/Filesystem", 8, "", running),
            ("/usr/lib/ocf/resource.d/heartbeat/Filesystem", 7, "", stopped),
            ("/usr/lib/ocf/resource.d/heartbeat/Filesystem", 9, "", dead),
            ("/usr/lib/ocf/resource.d/heartbeat/Filesystem", 5, "", unclear),
            ("/etc/init.d/x", 0, "", running),
            ("/etc/init.d/x", 0, "x: not running", stopped),
            ("/etc/init.d/x", 3, "", stopped),
            ("/etc/init.d/x", 1, "", dead),
            ("/etc/init.d/x", 4, "", unclear),
            ("/etc/init.d/x", 127, "", unclear),
        ];
        for (path, code, out, wanted) in cases {
            let is = match found(Path::new(path), &ended(code, out)) {
                Found::Running(_) => running,
                Found::Stopped(_) => stopped,
                Found::Dead(_) => dead,
                Found::Unclear(_) => unclear,
            };
            assert_eq!(is, wanted, "{path} {code} {out}");
        }
    }

    #[test]
    fn arguments_stand_before_the_verb_or_in_the_environment() {
        let args = ["10.0.0.1/24".to_owned(), "eth0".to_owned()];
        let called = invocation(Path::new("/etc/ha.d/resource.d/IPaddr"), &args, Action::Status);
        assert_eq!(called.words, ["/etc/ha.d/resource.d/IPaddr", "10.0.0.1/24", "eth0", "status"]);
        let args = ["device=/dev/sdb1".to_owned(), "directory=/srv".to_owned()];
        let called = invocation(Path::new("/usr/lib/ocf/resource.d/heartbeat/Filesystem"), &args, Action::Status);
        assert_eq!(called.words, ["/usr/lib/ocf/resource.d/heartbeat/Filesystem", "monitor"]);
        let environment = called.environment.unwrap();
        assert!(environment.contains(&("OCF_RESKEY_device".to_owned(), "/dev/sdb1".to_owned())), "{environment:?}");
    }
}
