//! Does an authority that is strict give certificates, and does whatever it does cost no client anything?

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use evenkeel_e2e::authority::{Authority, ISSUER, Manner, certify};
use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::place::{Scratch, free, free_at_home};
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};
use serde_json::Value;

/// The host that is ordered for.
const HOST: &str = "shop.example.com";

/// An authority takes its time, and a busy machine some more.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Where everything is.
struct Places {
    http: SocketAddr,
    https: SocketAddr,
    dns: SocketAddr,
}

impl Places {
    fn new() -> Self {
        Self { http: free(), https: free(), dns: free_at_home() }
    }

    fn manner(&self) -> Manner {
        Manner::new(self.http, self.https, self.dns)
    }

    /// A configuration whose DNS says that the hosts are here, and that has these lines for the certificate.
    fn config(&self, scratch: &Scratch, hosts: &str, acme: &str) -> String {
        let Self { http, https, dns } = self;
        let records = format!(
            "$TTL 60\n@ SOA ns root 1 1h 15m 4w 30\n@ NS ns\nns A 127.0.0.1\nshop A {0}\nwww A {0}\nnew A {0}\n",
            http.ip()
        );
        let zone = scratch.write("example.com.db", &records);
        format!(
            "http {http} {{\n    redirect https\n}}\nhttps {https} {hosts} {{\n    {acme}\n    respond 200 well\n}}\n\
             dns {dns} {{\n    rate off\n    zone example.com file={}\n}}\n",
            zone.display()
        )
    }
}

pub(crate) fn order_of(directory: &str, ca: &Path, more: &str) -> String {
    format!("acme ops@example.com directory={directory} ca={} {more}", ca.display())
}

/// What a client is shown: issuer, serial number, hosts.
pub(crate) fn shown(at: SocketAddr, host: &str) -> String {
    let hello = Command::new("openssl")
        .args(["s_client", "-connect", &at.to_string(), "-servername", host])
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed by `cargo xtask setup`");
    let pem = String::from_utf8_lossy(&hello.stdout);
    let from = pem.find("-----BEGIN CERTIFICATE").unwrap_or_default();
    let scratch = Scratch::new("shown");
    let file = scratch.write("shown.pem", &pem[from..]);
    let told = Command::new("openssl")
        .args(["x509", "-noout", "-issuer", "-serial", "-ext", "subjectAltName", "-in"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    text(&told)
}

pub(crate) fn serial(shown: &str) -> String {
    shown.lines().find(|line| line.starts_with("serial=")).unwrap_or_default().to_owned()
}

fn job(balancer: &Balancer) -> Value {
    balancer.status()["acme"][0].clone()
}

fn await_issued(at: SocketAddr, what: &str) -> String {
    await_for(what, LONG, || {
        let shown = shown(at, HOST);
        shown.contains(ISSUER).then_some(shown)
    })
}

/// Files of the state directory that begin so.
fn kept(balancer: &Balancer, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(balancer.scratch().file("state")).unwrap();
    let paths = entries.flatten().map(|entry| entry.path());
    let mut kept: Vec<PathBuf> =
        paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(beginning)).collect();
    kept.sort();
    kept
}

fn status_of(url: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_certificate_is_had_by_each_challenge_kept_and_shown_after_a_restart() {
    for (challenge, hosts) in
        [("http", "shop.example.com www.example.com"), ("alpn", HOST), ("dns", "*.example.com example.com")]
    {
        let (scratch, places) = (Scratch::new("acme"), Places::new());
        let authority = Authority::start(&scratch, &places.manner());
        let acme = order_of(&authority.directory(), authority.ca(), &format!("challenge={challenge}"));
        let balancer = Balancer::start(&places.config(&scratch, hosts, &acme));
        let first = await_issued(places.https, &format!("a certificate by {challenge}"));
        for host in hosts.split(' ') {
            assert!(first.contains(&format!("DNS:{host}")), "{first}");
        }
        let job =
            await_for("the order to be over", PATIENCE, || Some(job(&balancer)).filter(|it| it["expires"].is_u64()));
        assert_eq!(
            (&job["failures"], &job["is_kept"], &job["is_ordering"]),
            (&0.into(), &true.into(), &false.into()),
            "{job}"
        );
        // About two thirds of ninety days.
        let wait = job["next_try_in_s"].as_u64().unwrap() / (24 * 3600);
        assert!((58..=68).contains(&wait), "{job}");
        // What the authority was shown is gone, and the redirect is there again.
        assert_eq!(status_of(&format!("http://{}/.well-known/acme-challenge/x", places.http)), "308");
        let asked = balancer.run_words(&["dns", "query", "_acme-challenge.example.com", "TXT"]);
        assert!(!text(&asked).contains("TXT \""), "{}", text(&asked));
        let report = text(&balancer.run("status", &[]));
        assert!(report.contains("certificate") && report.contains("holds for"), "{report}");
        for file in kept(&balancer, "acme-") {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }

        // The authority is gone, and a new process shows at once what was had.
        drop(authority);
        let balancer = balancer.again();
        assert_eq!(serial(&shown(places.https, HOST)), serial(&first), "{}", balancer.status()["acme"]);
    }
}

#[test]
fn an_authority_that_does_not_believe_us_costs_time_alone_and_a_reload_tries_again() {
    let (scratch, places) = (Scratch::new("acme-doubt"), Places::new());
    let elsewhere = Places { http: free(), https: places.https, dns: places.dns };
    let authority = Authority::start(&scratch, &places.manner());
    let acme = order_of(&authority.directory(), authority.ca(), "");
    // It asks where nobody listens.
    let balancer = Balancer::start(&elsewhere.config(&scratch, HOST, &acme));
    let failed = await_for("the order to fail", LONG, || Some(job(&balancer)).filter(|it| it["failures"] == 1));
    assert!(failed["last_error"].as_str().is_some_and(|error| error.contains("authority says")), "{failed}");
    assert!(failed["next_try_in_s"].as_u64() > Some(30), "{failed}");
    let stand_in = shown(places.https, HOST);
    assert!(stand_in.contains("evenkeel") && stand_in.contains(HOST), "{stand_in}");
    let report = text(&balancer.run("status", &[]));
    assert!(report.contains("1 order of a certificate for shop.example.com"), "{report}");
    assert_eq!(kept(&balancer, "acme-account").len(), 1);
    assert!(kept(&balancer, "acme-certificate").is_empty());

    // Mended: the same order, tried again without waiting for its time.
    let reloaded = balancer.reload(&places.config(&scratch, HOST, &acme));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    await_issued(places.https, "a certificate after the mend");
    let log = fs::read_to_string(balancer.scratch().file("output")).unwrap();
    assert!(log.contains("no certificate for shop.example.com"), "{log}");
    for file in kept(&balancer, "acme-") {
        let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let secret = kept["key_pkcs8"].as_str().or(kept["key"].as_str()).unwrap();
        let part = secret.lines().nth(1).unwrap_or(secret);
        assert!(!log.contains(part), "a key is in the log");
    }

    // Another host: the certificate that is there is shown until the one for both is.
    let before = serial(&shown(places.https, HOST));
    drop(authority);
    let hosts = format!("{HOST} new.example.com");
    let reloaded = balancer.reload(&places.config(&scratch, &hosts, &acme));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert_eq!(serial(&shown(places.https, HOST)), before);
    assert!(shown(places.https, "new.example.com").contains("evenkeel"), "a stand-in for the other one");
    await_for("the authority not to be reached", LONG, || {
        Some(job(&balancer)).filter(|it| it["failures"].as_u64() > Some(0))
    });
    assert_eq!(serial(&shown(places.https, HOST)), before);

    // And another way to the same host.
    let reloaded = balancer.reload(&places.config(&scratch, HOST, "cert self"));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert_ne!(serial(&shown(places.https, HOST)), before, "without `acme` nothing of it is shown");
}

#[test]
fn a_certificate_is_renewed_before_its_end_and_no_request_is_lost() {
    let (scratch, places) = (Scratch::new("acme-renewal"), Places::new());
    let manner = Manner { life: 30, ..places.manner() };
    let authority = Authority::start(&scratch, &manner);
    let acme = order_of(&authority.directory(), authority.ca(), "");
    let balancer = Balancer::start(&places.config(&scratch, HOST, &acme));
    let first = await_issued(places.https, "the first certificate");

    let (stop, lost, count) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (stop, lost, count) = (Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&count));
            let (resolve, url) = (
                format!("{HOST}:{}:{}", places.https.port(), places.https.ip()),
                format!("https://{HOST}:{}/", places.https.port()),
            );
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let output = Command::new("curl")
                        .args(["-sk", "--max-time", "30", "--resolve", &resolve, &url])
                        .stdin(Stdio::null())
                        .output();
                    let is_good = output.is_ok_and(|output| output.stdout == b"well");
                    lost.fetch_add(usize::from(!is_good), Ordering::Relaxed);
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            })
        })
        .collect();
    let second = await_for("the second certificate", LONG, || {
        let now = shown(places.https, HOST);
        (now.contains(ISSUER) && serial(&now) != serial(&first)).then_some(now)
    });
    assert!(second.contains(HOST), "{second}");
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(count.load(Ordering::Relaxed) > 10);
    assert_eq!(lost.load(Ordering::Relaxed), 0, "of {}", count.load(Ordering::Relaxed));
    // One account for both, and one file.
    assert_eq!((kept(&balancer, "acme-account").len(), kept(&balancer, "acme-certificate").len()), (1, 1));

    // An authority that has forgotten the account, and is away for a while, gets another one.
    let at = authority.at();
    drop(authority);
    await_for("the authority to be missed", LONG, || {
        Some(job(&balancer)).filter(|it| it["failures"].as_u64() > Some(0))
    });
    let last = serial(&shown(places.https, HOST));
    let authority = Authority::start_at(&scratch, &manner, at);
    await_for("a certificate of the new authority", LONG, || {
        let now = shown(places.https, HOST);
        (now.contains(ISSUER) && serial(&now) != last).then_some(())
    });
    drop((balancer, authority));
}

#[test]
fn who_is_not_the_authority_is_told_from_it() {
    let (scratch, places) = (Scratch::new("acme-wrong"), Places::new());
    let manner = Manner { refused: vec![HOST.to_owned()], bad_nonces: 0, ..places.manner() };
    let authority = Authority::start(&scratch, &manner);
    let other = Scratch::new("acme-other");
    let stranger = Authority::start(&other, &manner);
    for (acme, wanted) in [
        // Another one signed what it shows.
        (order_of(&authority.directory(), stranger.ca(), ""), "ertificate"),
        (order_of(&format!("https://{}/nothing", authority.at()), authority.ca(), ""), "directory="),
        (order_of(&authority.directory(), authority.ca(), ""), "authority says"),
    ] {
        let balancer = Balancer::start(&places.config(&scratch, HOST, &acme));
        let failed = await_for("the order to fail", LONG, || {
            Some(job(&balancer)).filter(|it| it["failures"].as_u64() > Some(0))
        });
        let error = failed["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(wanted), "{acme}: {failed}");
        let page = format!("https://{HOST}:{}/", places.https.port());
        let resolve = format!("{HOST}:{}:{}", places.https.port(), places.https.ip());
        let output =
            Command::new("curl").args(["-sk", "--max-time", "20", "--resolve", &resolve, &page]).output().unwrap();
        assert_eq!(output.stdout, b"well");
    }
}

/// Something in front of an authority that says for it when to renew, which it cannot itself.
fn adviser(at: SocketAddr, authority: &Authority, scratch: &Scratch, (start, end): (&str, &str)) -> String {
    let (key, cert) = (scratch.file("adviser.key"), scratch.file("adviser.pem"));
    if !cert.is_file() {
        certify(at, &key, &cert);
    }
    let url = |path: &str| format!("https://{at}/{path}");
    let directory = serde_json::json!({
        "newNonce": url("nonce-plz"), "newAccount": url("sign-me-up"), "newOrder": url("order-plz"),
        "revokeCert": url("revoke-cert"), "keyChange": url("rollover-account-key"), "renewalInfo": url("renewal"),
    });
    let info = serde_json::json!({ "suggestedWindow": { "start": start, "end": end } });
    let quoted = |json: Value| json.to_string().replace('"', "\\\"");
    format!(
        "https {at} {{\n    cert {} key={}\n    response-header set Retry-After 21600\n    route /dir {{\n        respond 200 \"{}\"\n    }}\n    \
         route /renewal/* {{\n        respond 200 \"{}\"\n    }}\n    route * to=authority\n}}\n\
         pool authority {{\n    tls verify=off\n    server a {}\n}}\n",
        cert.display(),
        key.display(),
        quoted(directory),
        quoted(info),
        authority.at()
    )
}

#[test]
fn a_certificate_is_renewed_when_the_authority_says_so() {
    let (scratch, places) = (Scratch::new("acme-advice"), Places::new());
    let authority = Authority::start(&scratch, &places.manner());
    let front = free();
    let late = ("2090-01-01T00:00:00Z", "2090-01-02T00:00:00Z");
    let adviser_runs = Balancer::start(&adviser(front, &authority, &scratch, late));
    let acme = order_of(&format!("https://{front}/dir"), &scratch.file("adviser.pem"), "");
    let balancer = Balancer::start(&places.config(&scratch, HOST, &acme));
    let first = await_issued(places.https, "the first certificate");
    let advised = await_for("the advice", LONG, || Some(job(&balancer)).filter(|it| it["by_authority"] == true));
    // It says never; nine tenths of ninety days are the latest.
    let wait = advised["next_try_in_s"].as_u64().unwrap() / (24 * 3600);
    assert!((79..=81).contains(&wait), "{advised}");

    // Now it wants it back at once, as authorities do that made a mistake; a new process asks.
    let gone = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    let reloaded = adviser_runs.reload(&adviser(front, &authority, &scratch, gone));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    let balancer = balancer.again();
    let second = await_for("the next certificate", LONG, || {
        let now = shown(places.https, HOST);
        (now.contains(ISSUER) && serial(&now) != serial(&first)).then_some(now)
    });
    // And is not believed each time.
    let job = await_for("the next plan", LONG, || {
        Some(job(&balancer))
            .filter(|it| it["ordered_at"].is_u64() && it["is_ordering"] == false && it["by_authority"] == true)
    });
    assert!(job["next_try_in_s"].as_u64() > Some(1800), "{job}");
    assert_eq!(serial(&shown(places.https, HOST)), serial(&second));
}

#[test]
fn an_authority_that_takes_no_strangers_is_shown_whose_account_it_is() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let (scratch, places) = (Scratch::new("acme-bound"), Places::new());
    let manner = Manner { bound: Some(("kid-1".to_owned(), KEY.to_owned())), ..places.manner() };
    let authority = Authority::start(&scratch, &manner);
    let key = |name: &str, text: &str| {
        let path = scratch.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (good, other, none) = (key("good", KEY), key("other", &KEY.to_lowercase()), key("none", "pass word"));
    let config = |more: &str| places.config(&scratch, HOST, &order_of(&authority.directory(), authority.ca(), more));
    // A stranger, and one with the key of somebody else.
    let balancer = Balancer::start(&config(""));
    let error = |balancer: &Balancer| {
        let failed =
            await_for("the order to fail", LONG, || Some(job(balancer)).filter(|it| it["failures"].as_u64() > Some(0)));
        failed["last_error"].as_str().unwrap_or_default().to_owned()
    };
    let told = error(&balancer);
    assert!(told.contains("externalAccountRequired"), "{told}");
    assert!(balancer.reload(&config(&format!("eab=kid-1 key=file:{other}"))).status.success());
    let told = error(&balancer);
    assert!(told.contains("authority says"), "{told}");
    // What is no key is refused where it is written, and nothing changes.
    let refused = balancer.reload(&config(&format!("eab=kid-1 key=file:{none}")));
    let told = text(&refused);
    assert!(!refused.status.success() && told.contains("E434") && told.contains("base64url"), "{told}");
    assert!(!told.contains("pass word"), "{told}");
    let reloaded = balancer.reload(&config(&format!("eab=kid-1 key=file:{good}")));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    await_issued(places.https, "a certificate by an account that is bound");
}

/// A disk of 128 KiB in the place of a folder, with what was in it; gone with its owner.
struct SmallDisk {
    disk: PathBuf,
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(scratch: &Scratch, folder: &Path) -> Option<Self> {
        let disk = scratch.file("disk");
        fs::create_dir_all(&disk).unwrap();
        let run = |program: &str, words: &[&str]| {
            Command::new(program).args(words).status().is_ok_and(|status| status.success())
        };
        let (on, there) = (disk.display().to_string(), folder.display().to_string());
        if !run("mount", &["-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", &on]) {
            return None;
        }
        let small = Self { disk, folder: folder.to_owned() };
        let is_there = run("cp", &["-a", &format!("{there}/."), &on]) && run("mount", &["--bind", &on, &there]);
        is_there.then_some(small)
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut filler = fs::File::create(self.disk.join("filler")).unwrap();
        while std::io::Write::write(&mut filler, &[0; 1024]).is_ok_and(|count| count > 0) {}
    }

    fn empty(&self) {
        fs::remove_file(self.disk.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        for place in [&self.folder, &self.disk] {
            let _ = Command::new("umount").arg("--lazy").arg(place).stderr(Stdio::null()).status();
        }
    }
}

#[test]
fn on_a_full_disk_certificates_go_on_and_what_is_not_kept_is_said() {
    if !is_root_or_skips("on_a_full_disk_certificates_go_on_and_what_is_not_kept_is_said", "to mount a small tmpfs") {
        return;
    }
    let (scratch, places) = (Scratch::new("acme-full"), Places::new());
    let manner = Manner { life: 30, ..places.manner() };
    let authority = Authority::start(&scratch, &manner);
    let acme = order_of(&authority.directory(), authority.ca(), "");
    let balancer = Balancer::start(&places.config(&scratch, HOST, "cert self"));
    let state = balancer.scratch().file("state");
    let Some(disk) = SmallDisk::mount(&scratch, &state) else {
        println!(
            "\nSKIPPED on_a_full_disk_certificates_go_on_and_what_is_not_kept_is_said: a tmpfs cannot be mounted here"
        );
        return;
    };
    let reloaded = balancer.reload(&places.config(&scratch, HOST, &acme));
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    await_issued(places.https, "the first certificate");
    await_for("it to be kept", LONG, || (job(&balancer)["is_kept"] == true).then_some(()));
    disk.fill();
    // The next one is had and shown; on the disk is the last that found room, whole.
    await_for("one that is not kept", LONG, || (job(&balancer)["is_kept"] == false).then_some(()));
    let file = kept(&balancer, "acme-certificate");
    let old: Value = serde_json::from_slice(&fs::read(&file[0]).unwrap()).expect("what was kept is whole");
    let path = scratch.write("kept.pem", old["chain"].as_str().unwrap());
    let on_disk = Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(path).output().unwrap();
    let now = shown(places.https, HOST);
    assert!(now.contains(ISSUER) && serial(&now) != text(&on_disk).trim(), "{now}");
    let report = text(&balancer.run("status", &[]));
    assert!(report.contains("a restart forgets the certificate for shop.example.com"), "{report}");
    let log = fs::read_to_string(balancer.scratch().file("output")).unwrap();
    assert!(log.contains("no space left on device"), "{log}");
    let events = Command::new("curl")
        .args(["-s", "--max-time", "20", "http://control/api/v1/events/recent", "--unix-socket"])
        .arg(balancer.scratch().file("control.sock"))
        .output()
        .unwrap();
    assert!(text(&events).contains("is not kept") && text(&events).contains("no space left"), "{}", text(&events));
    // There is room again.
    disk.empty();
    await_for("it to be kept", LONG, || (job(&balancer)["is_kept"] == true).then_some(()));
    // It has left the folder before the folder goes.
    drop((disk, balancer));
}
