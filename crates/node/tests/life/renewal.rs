//! Certificates that the program makes itself, while it runs: another one before the end of the first.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;

use crate::Running;
use crate::origin::{Scratch, free_port};

const HOST: &str = "shop.example";
/// What is left of a certificate that is made anew.
const SOON: Duration = Duration::from_secs(21 * 24 * 3600);
/// Longer than the longest of what is waited for, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the certificate is kept.
fn kept(state: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(state).unwrap().flatten().map(|file| file.path());
    let is_it = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("self-certificate-");
    files.find(is_it).expect("it is kept")
}

/// Puts one there that is near its end after that time. Until when it is valid, in seconds since 1970.
fn age(file: &Path, left: Duration) -> u64 {
    let hosts = [HOST.to_owned()];
    let life = Certificate::self_signed(&hosts).unwrap().facts().not_after - clock::unix_now().as_secs();
    let from = clock::unix_now() + SOON + left - Duration::from_secs(life);
    let (chain, key) = Certificate::self_signed_pem(&hosts, from).unwrap();
    let papers = serde_json::json!({ "chain": chain, "key": key });
    std::fs::write(file, papers.to_string()).unwrap();
    from.as_secs() + life
}

#[test]
fn a_certificate_of_our_own_is_made_anew_while_it_is_shown() {
    let scratch = Scratch::new("renewal");
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let port = free_port();
    let text = format!("https 127.0.0.1:{port} {HOST} {{\n    cert self\n    respond 200\n}}\n");
    let start = || Running::try_start(&text, Some(scratch.path().to_owned())).expect("it starts");
    let until = |running: &Running| running.status().certificates[0].not_after;
    let first = start();
    let whole = until(&first);
    first.stop();
    // On a slow machine a start takes longer than the first of these.
    for left in [3, 10, 30] {
        let aged = age(&kept(scratch.path()), Duration::from_secs(left));
        let running = start();
        let is_seen = until(&running) == aged;
        let begun = Instant::now();
        while until(&running) < whole {
            assert!(begun.elapsed() < PATIENCE, "no other one is shown");
            std::thread::sleep(Duration::from_millis(50));
        }
        running.stop();
        if is_seen {
            return;
        }
    }
    panic!("no start was quick enough to show the one that was near its end");
}
