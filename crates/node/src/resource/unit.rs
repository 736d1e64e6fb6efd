//! Units of systemd, by `systemctl`: the one interface to it that needs no library and no address of a bus.
//!
//! The invariant: a unit on its way is neither running nor stopped, and one that waits for its turn to start is on its way.

use super::script::{Action, Found};
use crate::command::{Ended, Invocation, shortened};

/// How `systemctl` is called for a unit.
pub(super) fn invocation(systemctl: &str, unit: &str, action: Action) -> Invocation {
    let own: &[&str] = match action {
        Action::Start => &["start"],
        Action::Stop => &["stop"],
        Action::Status => &["show", "--property=LoadState,ActiveState,SubState,Result,Job,Type,RemainAfterExit"],
    };
    called(systemctl, own, unit)
}

/// What has systemd forget how often a unit was started or has failed: a group that comes and goes is no unit that dies again
/// and again, and one that did elsewhere may be tried here.
pub(super) fn forgive(systemctl: &str, unit: &str) -> Invocation {
    called(systemctl, &["reset-failed"], unit)
}

/// What ends a unit that does not stop in its time.
pub(super) fn kill(systemctl: &str, unit: &str) -> Invocation {
    called(systemctl, &["kill", "--signal=SIGKILL"], unit)
}

fn called(systemctl: &str, own: &[&str], unit: &str) -> Invocation {
    let words = [systemctl].into_iter().chain(own.iter().copied()).chain(["--no-ask-password", "--", unit]);
    Invocation { words: words.map(str::to_owned).collect(), environment: None }
}

/// Why `systemctl` did not do what was asked for: it says so first, but for warnings, and then where to read more.
pub(super) fn refusal(ended: &Ended) -> String {
    let text = String::from_utf8_lossy(&ended.err);
    match text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("Warning:")) {
        Some(first) => shortened(first),
        None => ended.sentence(),
    }
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
    let said = format!("{active} ({sub})");
    match active {
        "active" | "reloading" | "refreshing" => Found::Running(said),
        // At a boot units wait for one another: this one may run in a moment.
        "inactive" if !matches!(value("Job"), "" | "0") => Found::Unclear(format!("{said}, and a job of it waits")),
        "inactive" if value("LoadState") == "not-found" => Found::Stopped("systemd knows no such unit".to_owned()),
        "inactive" if value("Type") == "oneshot" && value("RemainAfterExit") == "no" => {
            Found::Stopped(format!("{said}; a unit of `Type=oneshot` runs on with `RemainAfterExit=yes` alone"))
        }
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
            (
                "LoadState=not-found\nActiveState=inactive\nSubState=dead\nJob=\n",
                Found::Stopped("systemd knows no such unit".into()),
            ),
            ("LoadState=not-found\nActiveState=active\nSubState=running\n", Found::Running("active (running)".into())),
            ("LoadState=masked\nActiveState=inactive\nSubState=dead\nJob=\n", Found::Stopped("inactive (dead)".into())),
            ("ActiveState=active\nSubState=exited\nType=oneshot\n", Found::Running("active (exited)".into())),
            (
                "Type=oneshot\nRemainAfterExit=no\nActiveState=inactive\nSubState=dead\n",
                Found::Stopped(
                    "inactive (dead); a unit of `Type=oneshot` runs on with `RemainAfterExit=yes` alone".into(),
                ),
            ),
            (
                "LoadState=loaded\nActiveState=inactive\nSubState=dead\nJob=17\n",
                Found::Unclear("inactive (dead), and a job of it waits".into()),
            ),
            ("ActiveState=deactivating\nSubState=stop-sigterm\n", Found::Unclear("deactivating (stop-sigterm)".into())),
            ("", Found::Unclear(" ()".into())),
        ];
        for (text, wanted) in cases {
            let ended = Ended { status: ExitStatus::from_raw(0), out: text.into(), err: Vec::new() };
            assert_eq!(found(&ended), wanted, "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_first_line() {
        let ended = |err: &str| Ended { status: ExitStatus::from_raw(256), out: Vec::new(), err: err.into() };
        let said =
            "Job for web.service failed because a timeout was exceeded.\nSee \"systemctl status\" for details.\n";
        assert_eq!(refusal(&ended(said)), "Job for web.service failed because a timeout was exceeded.");
        let stale = "Warning: The unit file, source configuration file or drop-ins of web.service changed on disk. Run \
                     'systemctl daemon-reload' to reload units.\n";
        assert_eq!(
            refusal(&ended(&format!("{stale}{said}"))),
            "Job for web.service failed because a timeout was exceeded."
        );
        assert_eq!(refusal(&ended("\n")), "it ended with exit status 1");
        // Where nothing else is said it is shown none the less, as what was said.
        assert!(refusal(&ended(stale)).starts_with("it ended with exit status 1: Warning: "));
    }

    #[test]
    fn a_unit_is_never_taken_for_an_option() {
        assert_eq!(
            kill("systemctl", "-H").words,
            ["systemctl", "kill", "--signal=SIGKILL", "--no-ask-password", "--", "-H"]
        );
    }
}
