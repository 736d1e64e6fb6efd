use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_model::caps;
use evenkeel_net::bell::Bell;

use super::*;
use crate::scratch::Scratch;

const LONG: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(30);

/// A script that runs as long as a file is there, and notes what it was asked for.
const DAEMON: &str = r#"#!/bin/sh
d=$(dirname "$0")
eval verb=\$$#
echo "$*" >> "$d/calls"
case $verb in
    start) [ -e "$d/refuse" ] && { echo "no disk" >&2; exit 1; }; touch "$d/up" ;;
    stop) [ -e "$d/stay" ] || rm -f "$d/up" ;;
    status) [ -e "$d/hang" ] && sleep 600; [ -e "$d/up" ] && { echo running; exit 0; }; echo "not running"; exit 3 ;;
esac
"#;

struct Scene {
    dir: Scratch,
    orders: mpsc::Sender<(u32, Deed)>,
    reports: mpsc::Receiver<Report>,
    state: watch::Receiver<ResourceState>,
    number: u32,
}

impl Scene {
    fn script(text: &str, args: &[&str], timeout: Duration, every: Option<Duration>) -> (Self, Attendant) {
        let dir = Scratch::new();
        let path = program(&dir, "daemon", text);
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::of(dir, Service::Script { path, args }, timeout, every)
    }

    fn of(dir: Scratch, service: Service, timeout: Duration, every: Option<Duration>) -> (Self, Attendant) {
        let ((orders, received), (sender, reports)) = (mpsc::channel(4), mpsc::channel(4));
        let sender = Reports::new(sender, Arc::new(Bell::new().unwrap()));
        let first = ResourceState { standing: Standing::Stopped, why: String::new() };
        let (state, seen) = watch::channel(first);
        let attendant = Attendant::new((1, 2), Managed { service, timeout, every }, received, sender, state);
        (Self { dir, orders, reports, state: seen, number: 0 }, attendant)
    }

    async fn order(&mut self, deed: Deed) -> Result<(), String> {
        self.number += 1;
        self.orders.send((self.number, deed)).await.unwrap();
        match self.reports.recv().await.unwrap() {
            Report::Done { number, failed } => {
                assert_eq!(number, self.number);
                failed.map_or(Ok(()), Err)
            }
            other => panic!("{other:?}"),
        }
    }

    fn standing(&self) -> Standing {
        self.state.borrow().standing
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.file(name), "").unwrap();
    }

    fn calls(&self, verb: &str) -> usize {
        let text = std::fs::read_to_string(self.file("calls")).unwrap_or_default();
        text.lines().filter(|line| line.ends_with(verb)).count()
    }
}

fn program(dir: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn beside<F: Future<Output = ()>>(attendant: Attendant, scene: F) {
    crate::run_beside(async move {
        tokio::task::spawn_local(attendant.live());
        scene.await;
    })
    .unwrap();
}

#[test]
fn a_script_is_started_watched_and_stopped() {
    let (mut scene, attendant) = Scene::script(DAEMON, &["a b"], LONG, Some(OFTEN));
    beside(attendant, async move {
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        assert_eq!((scene.standing(), scene.calls("a b start")), (Standing::Running, 1));
        // One that runs is not started again.
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        assert_eq!(scene.calls("start"), 1);

        std::fs::remove_file(scene.file("up")).unwrap();
        let why = match scene.reports.recv().await.unwrap() {
            Report::Broken { group: 1, resource: 2, why } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why, "it does not run any more: not running");
        assert_eq!(scene.standing(), Standing::Broken);

        assert_eq!(scene.order(Deed::Stop).await, Ok(()));
        assert_eq!((scene.standing(), scene.calls("stop")), (Standing::Stopped, 0), "what is down is not stopped");
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        assert_eq!(scene.order(Deed::Stop).await, Ok(()));
        assert_eq!(scene.calls("stop"), 1);
        assert!(scene.reports.try_recv().is_err(), "what is down is not broken");
    });
}

#[test]
fn a_script_that_says_much_is_broken_all_the_same() {
    // A status of one line of four thousand bytes, in each of the two ways to be dead.
    for status in ["1", "3"] {
        let text = DAEMON.replace("echo \"not running\"; exit 3", &format!("printf '%04000d' 7; exit {status}"));
        assert_ne!(text, DAEMON);
        let (mut scene, attendant) = Scene::script(&text, &[], LONG, Some(OFTEN));
        beside(attendant, async move {
            assert_eq!(scene.order(Deed::Start).await, Ok(()));
            std::fs::remove_file(scene.file("up")).unwrap();
            let why = match scene.reports.recv().await.unwrap() {
                Report::Broken { why, .. } => why,
                other => panic!("{other:?}"),
            };
            let zeroes = "0".repeat(caps::COMMAND_LINE_CHARS);
            assert!(why.starts_with("it does not run any more") && why.ends_with(&format!(": {zeroes}...")), "{why}");
        });
    }
}

#[test]
fn a_start_that_fails_says_why() {
    let (mut scene, attendant) = Scene::script(DAEMON, &[], LONG, Some(OFTEN));
    scene.touch("refuse");
    beside(attendant, async move {
        let why = scene.order(Deed::Start).await.unwrap_err();
        assert_eq!(why, "it ended with exit status 1: no disk");
        assert_eq!(scene.standing(), Standing::Broken);
    });
}

#[test]
fn a_start_that_starts_nothing_is_a_failure_unless_nobody_looks() {
    const LIAR: &str = "#!/bin/sh\n[ $1 != status ] || { echo 'not running'; exit 3; }\n";
    let (mut scene, attendant) = Scene::script(LIAR, &[], Duration::from_secs(2), Some(OFTEN));
    beside(attendant, async move {
        let why = scene.order(Deed::Start).await.unwrap_err();
        assert_eq!(why, "its start succeeded, and still it does not run: not running");
    });
    let (mut scene, attendant) = Scene::script(LIAR, &[], LONG, None);
    beside(attendant, async move { assert_eq!(scene.order(Deed::Start).await, Ok(())) });
}

#[test]
fn a_start_that_hangs_ends_with_its_time_and_all_that_it_started() {
    let text = "#!/bin/sh\nsetsid sleep 600 & echo $! > $(dirname $0)/pid; wait\n";
    let (mut scene, attendant) = Scene::script(text, &[], Duration::from_secs(1), None);
    beside(attendant, async move {
        let why = scene.order(Deed::Start).await.unwrap_err();
        assert!(why.contains("more than") && why.contains("was killed"), "{why}");
        let pid = std::fs::read_to_string(scene.file("pid")).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // It was told; it may take its moment to end.
        for _ in 0..2000 {
            if stat().is_empty() || stat().contains(") Z") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", stat());
    });
}

#[test]
fn a_stop_that_stops_nothing_is_a_failure() {
    let (mut scene, attendant) = Scene::script(DAEMON, &[], Duration::from_secs(2), Some(LONG));
    scene.touch("stay");
    beside(attendant, async move {
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        let why = scene.order(Deed::Stop).await.unwrap_err();
        assert_eq!(why, "it was stopped, and still it runs: running");
        std::fs::remove_file(scene.file("stay")).unwrap();
        assert_eq!(scene.order(Deed::Stop).await, Ok(()));
    });
}

#[test]
fn an_order_does_not_wait_for_a_look_that_hangs() {
    let (mut scene, attendant) = Scene::script(DAEMON, &[], LONG, Some(OFTEN));
    beside(attendant, async move {
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        scene.touch("hang");
        let before = scene.calls("status");
        while scene.calls("status") == before {
            tokio::time::sleep(OFTEN).await;
        }
        std::fs::remove_file(scene.file("hang")).unwrap();
        let began = Instant::now();
        assert_eq!(scene.order(Deed::Stop).await, Ok(()));
        assert!(began.elapsed() < LONG, "it waited for the look");
    });
}

#[test]
fn a_script_that_others_may_change_is_not_run_by_root() {
    let (mut scene, attendant) = Scene::script(DAEMON, &[], LONG, None);
    std::fs::set_permissions(scene.file("daemon"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = evenkeel_net::process::is_root();
    beside(attendant, async move {
        let outcome = scene.order(Deed::Start).await;
        assert_eq!(outcome.is_err_and(|why| why.contains("chmod go-w")), is_root);
        std::fs::set_permissions(scene.file("daemon"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(scene.order(Deed::Start).await.unwrap_err().contains("chmod +x"));
    });
}

#[test]
fn a_script_that_others_came_to_change_is_not_asked_any_more() {
    if !evenkeel_net::process::is_root() {
        return;
    }
    let (mut scene, attendant) = Scene::script(DAEMON, &[], LONG, Some(OFTEN));
    beside(attendant, async move {
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        std::fs::set_permissions(scene.dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let told = scene.reports.recv().await.unwrap();
        assert!(matches!(&told, Report::Broken { why, .. } if why.contains("chmod go-w")), "{told:?}");
        let calls = scene.calls("");
        assert!(scene.order(Deed::Stop).await.unwrap_err().contains("chmod go-w"));
        assert_eq!(scene.calls(""), calls);
    });
}

/// Stands in for systemd: states in files, what it was asked for in a list.
const SYSTEMCTL: &str = r#"#!/bin/sh
d=$(dirname "$0")
echo "$*" >> "$d/calls"
case $1 in
    start) echo active > "$d/is" ;;
    stop) [ -e "$d/stay" ] && sleep 600; echo inactive > "$d/is" ;;
    kill) echo inactive > "$d/is" ;;
    show) echo LoadState=loaded; echo "ActiveState=$(cat "$d/is" 2>/dev/null || echo inactive)"; echo SubState=x ;;
esac
"#;

#[test]
fn a_unit_is_started_watched_and_killed_where_it_does_not_stop() {
    let dir = Scratch::new();
    let systemctl = program(&dir, "systemctl", SYSTEMCTL).display().to_string();
    let service = Service::Unit("web.service".to_owned());
    let (mut scene, attendant) = Scene::of(dir, service, Duration::from_secs(2), Some(OFTEN));
    let attendant = Attendant { systemctl, ..attendant };
    beside(attendant, async move {
        assert_eq!(scene.order(Deed::Start).await, Ok(()));
        assert_eq!(scene.calls("start --no-ask-password -- web.service"), 1);
        std::fs::write(scene.file("is"), "activating").unwrap();
        let why = match scene.reports.recv().await.unwrap() {
            Report::Broken { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why, "3 times in a row it cannot be told whether it runs: activating (x)");

        std::fs::write(scene.file("is"), "active").unwrap();
        scene.touch("stay");
        assert!(scene.order(Deed::Stop).await.unwrap_err().contains("was killed"));
        assert_eq!(scene.calls("kill --signal=SIGKILL --no-ask-password -- web.service"), 1);
        assert_eq!(scene.order(Deed::Stop).await, Ok(()));
    });
}
