//! Units of systemd, by `systemctl`: the one interface to it that needs no library and no address of a bus.
//!
//! The invariant: a unit on its way is neither running nor stopped.

use super::script::{Action, Found};
use crate::command::{Ended, Invocation};

/// How `systemctl` is called for a unit.
pub(super) fn invocation(systemctl: &str, unit: &str, action: Action) -> Invocation {
    let own: &[&str] = match action {
        Action::Start => &["start"],
        Action::Stop => &["stop"],
        Action::Status => &["show", "--property=LoadState,ActiveState,SubState,Result"],
    };
    called(systemctl, own, unit)
}

/// What ends a unit that does not stop in its time.
pub(super) fn kill(systemctl: &str, unit: &str) -> Invocation {
    called(systemctl, &["kill", "--signal=SIGKILL"], unit)
}

fn called(systemctl: &str, own: &[&str], unit: &str) -> Invocation {
    let words = [systemctl].into_iter().chain(own.iter().copied()).chain(["--no-ask-password", "--", unit]);
    Invocation { words: words.map(str::to_owned).collect(), environment: None }
}

/// What the answer to `show` means.
pub(super) fn found(ended: &Ended) -> Found {
    if !ended.status.success() {
        return Found::Unclear(ended.sentence());
    }
    let text = String::from_utf8_lossy(&ended.out);
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let (active, sub, result) = (value("ActiveState"), value("SubState"), value("Result"));
    if value("LoadState") == "not-found" {
        return Found::Unclear("systemd knows no such unit".to_owned());
    }
    let said = format!("{active} ({sub})");
    match active {
        "active" | "reloading" | "refreshing" => Found::Running(said),
        "inactive" => Found::Stopped(said),
        "failed" => Found::Dead(format!("{said}, {result}")),
        _ => Found::Unclear(said),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn units_are_read_by_their_states() {
        let cases = [
            (
                "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\n",
                Found::Running("active (running)".into()),
            ),
            ("ActiveState=reloading\nSubState=reload\n", Found::Running("reloading (reload)".into())),
            ("ActiveState=inactive\nSubState=dead\n", Found::Stopped("inactive (dead)".into())),
            (
                "Result=exit-code\nActiveState=failed\nSubState=failed\n",
                Found::Dead("failed (failed), exit-code".into()),
            ),
            ("ActiveState=activating\nSubState=auto-restart\n", Found::Unclear("activating (auto-restart)".into())),
            ("LoadState=not-found\nActiveState=inactive\n", Found::Unclear("systemd knows no such unit".into())),
            ("", Found::Unclear(" ()".into())),
        ];
        for (text, wanted) in cases {
            let ended = Ended { status: ExitStatus::from_raw(0), out: text.into(), err: Vec::new() };
            assert_eq!(found(&ended), wanted, "{text}");
        }
    }

    #[test]
    fn a_unit_is_never_taken_for_an_option() {
        assert_eq!(
            kill("systemctl", "-H").words,
            ["systemctl", "kill", "--signal=SIGKILL", "--no-ask-password", "--", "-H"]
        );
    }
}
