//! Is TLS what clients, servers and administrators expect of it?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use evenkeel_e2e::balancer::{Balancer, command, text};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for};

/// A certificate made by openssl, and its key.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// One for these hosts, that signs itself.
    pub(crate) fn make(scratch: &Scratch, name: &str, hosts: &[&str], days: &str) -> Self {
        let pair = Self { cert: scratch.file(&format!("{name}.pem")), key: scratch.file(&format!("{name}.key")) };
        let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let names = format!("subjectAltName=IP:127.0.0.1,{}", names.join(","));
        let (cert, key) = (pair.cert.to_str().unwrap(), pair.key.to_str().unwrap());
        let subject = format!("/CN={}", hosts[0]);
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            days,
            "-subj",
            &subject,
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            key,
            "-out",
            cert,
        ]);
        openssl(&["pkey", "-in", key, "-noout"]);
        pair
    }

    /// Signs it anew, so that it expired a day ago.
    fn expire(&self, scratch: &Scratch) {
        let (cert, key) = (self.cert.to_str().unwrap(), self.key.to_str().unwrap());
        let names = scratch.write("names", "subjectAltName=DNS:shop.example\n");
        let request = scratch.file("request");
        let request = request.to_str().unwrap();
        openssl(&["req", "-new", "-key", key, "-subj", "/CN=shop.example", "-out", request]);
        let names = names.to_str().unwrap();
        openssl(&["x509", "-req", "-in", request, "-signkey", key, "-days", "-1", "-extfile", names, "-out", cert]);
    }

    pub(crate) fn line(&self) -> String {
        format!("cert {} key={}", self.cert.display(), self.key.display())
    }
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output));
    text(&output)
}

/// What `openssl s_client` tells of a handshake.
fn s_client(at: SocketAddr, arguments: &[&str]) -> String {
    let at = at.to_string();
    let output =
        Command::new("openssl").args(["s_client", "-connect", &at]).args(arguments).stdin(Stdio::null()).output();
    text(&output.unwrap())
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).stdin(Stdio::null()).output();
    text(&output.unwrap())
}

/// Curl to an address under a name, believing one certificate.
fn fetch(at: SocketAddr, host: &str, pair: &Pair, arguments: &[&str]) -> String {
    let resolve = format!("{host}:{}:{}", at.port(), at.ip());
    let url = format!("https://{host}:{}/", at.port());
    let ca = pair.cert.to_str().unwrap();
    let all =
        ["--resolve", &resolve, "--cacert", ca].into_iter().chain(arguments.iter().copied()).chain([url.as_str()]);
    curl(&all.collect::<Vec<_>>())
}

#[test]
fn clients_get_the_certificate_of_the_host_that_they_ask_for() {
    let (scratch, at, plain) = (Scratch::new("tls"), free(), free());
    let shop = Pair::make(&scratch, "shop", &["shop.example"], "90");
    let wild = Pair::make(&scratch, "wild", &["*.wild.example"], "90");
    let facts = "respond 200 \"$scheme $ssl_protocol $ssl_cipher $ssl_server_name\"";
    let balancer = Balancer::start(&format!(
        "http {plain} {{\n    redirect https\n}}\nhttps {at} {{\n    {}\n    {}\n    {facts}\n}}\n",
        shop.line(),
        wild.line()
    ));
    assert_eq!(fetch(at, "shop.example", &shop, &[]), "https TLSv1.3 TLS_AES_256_GCM_SHA384 shop.example");
    assert!(fetch(at, "other.wild.example", &wild, &[]).ends_with("other.wild.example"));
    let older = fetch(at, "shop.example", &shop, &["--tls-max", "1.2"]);
    assert!(older.contains("TLSv1.2 ECDHE-ECDSA-"), "{older}");
    assert!(fetch(at, "shop.example", &wild, &[]).contains("curl: (60)"), "a certificate of another name was shown");
    assert!(s_client(at, &["-tls1_1"]).contains("alert"), "TLS 1.1 is spoken");
    let none = s_client(at, &["-noservername"]);
    assert!(none.contains("CN = shop.example") || none.contains("CN=shop.example"), "{none}");
    let said = curl(&["-i", &format!("http://{at}/")]);
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("https://"), "{said}");
    let led = curl(&["-o", "/dev/null", "-w", "%{redirect_url}", &format!("http://{plain}/x?y")]);
    assert_eq!(led, format!("https://{at}/x?y"));
    let status = balancer.status();
    assert_eq!(status["certificates"].as_array().map(Vec::len), Some(2), "{status:#}");
}

#[test]
fn sessions_are_resumed_across_reloads() {
    let (scratch, at) = (Scratch::new("tickets"), free());
    let config = format!("https {at} {{\n    cert self\n    respond 200 \"$ssl_session_reused\"\n}}\n");
    let balancer = Balancer::start(&config);
    for version in ["-tls1_3", "-tls1_2"] {
        let session = scratch.file(version);
        let session = session.to_str().unwrap();
        // The tickets of TLS 1.3 come behind the handshake: the answer is waited for.
        let ask = |arguments: &[&str]| {
            let line = format!(
                "printf 'GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' | openssl s_client -connect {at} {version} -ign_eof {}",
                arguments.join(" ")
            );
            text(&Command::new("sh").args(["-c", &line]).output().unwrap())
        };
        let first = ask(&["-sess_out", session]);
        assert!(first.contains("New, TLSv1"), "{first}");
        assert!(balancer.reload(&format!("{config}# {version}\n")).status.success());
        let again = ask(&["-sess_in", session]);
        assert!(again.contains("Reused, TLSv1") && again.contains("\r\n\r\nr"), "{again}");
    }
}

#[test]
fn a_certificate_is_renewed_under_load_and_nobody_notices() {
    let (scratch, at) = (Scratch::new("renewal"), free());
    let old = Pair::make(&scratch, "shop", &["shop.example"], "90");
    let config = format!("https {at} {{\n    {}\n    respond 200 ok\n}}\n", old.line());
    let balancer = Balancer::start(&config);
    let url = format!("https://{at}/?[1-4000]");
    let kept = thread::spawn(move || {
        curl(&["-k", "--http1.1", "--parallel", "--parallel-max", "8", "-o", "/dev/null", "-w", "%{http_code}\n", &url])
    });
    let each = format!("https://{at}/?[1-300]");
    let each = thread::spawn(move || {
        curl(&["-k", "--http1.1", "-H", "Connection: close", "-o", "/dev/null", "-w", "%{http_code}\n", &each])
    });
    let serial = || {
        let said = s_client(at, &["-servername", "shop.example"]);
        said.lines().find(|line| line.starts_with("-----BEGIN")).map(|_| said.clone()).unwrap_or_default()
    };
    let before = serial();
    let mut reloads = 0;
    while !(kept.is_finished() && each.is_finished()) || reloads < 3 {
        Pair::make(&scratch, "shop", &["shop.example"], "90");
        let output = balancer.reload(&config);
        assert!(output.status.success() && text(&output).contains("changed"), "{}", text(&output));
        reloads += 1;
    }
    let (kept, each) = (kept.join().unwrap(), each.join().unwrap());
    assert_eq!(kept.lines().filter(|line| *line == "200").count(), 4000, "after {reloads} reloads: {kept}");
    assert_eq!(each.lines().filter(|line| *line == "200").count(), 300, "after {reloads} reloads: {each}");
    assert_ne!(before, serial(), "the old certificate is still shown");
    // One that cannot be used changes nothing.
    std::fs::write(scratch.file("shop.key"), "none").unwrap();
    let output = balancer.reload(&config);
    assert!(!output.status.success() && text(&output).contains("E434"), "{}", text(&output));
    assert_eq!(fetch(at, "shop.example", &old, &["-k"]), "ok");
}

#[test]
fn servers_have_to_prove_who_they_are() {
    let (scratch, at) = (Scratch::new("servers"), free());
    let own = Pair::make(&scratch, "own", &["inside.example"], "90");
    let other = Pair::make(&scratch, "other", &["inside.example"], "90");
    let server = free();
    let (port, cert, key) = (server.port().to_string(), own.cert.to_str().unwrap(), own.key.to_str().unwrap());
    let arguments = ["s_server", "-accept", &port, "-cert", cert, "-key", key, "-www"];
    let folder = scratch.path();
    let _server = Process::start("openssl", "openssl".as_ref(), &arguments, folder, scratch.file("s_server"));
    let config = |tls: &str| {
        format!(
            "http {at} {{\n    route * to=p\n}}\npool p {{\n    tls {tls}\n    check GET / every=200ms timeout=2s rise=1 fall=1\n    \
             fail-open off\n    retry 0\n    server a {server}\n}}\n"
        )
    };
    let ca = |pair: &Pair| format!("ca={}", pair.cert.display());
    let balancer = Balancer::start(&config(&format!("sni=inside.example {}", ca(&own))));
    balancer.await_state("p", "a", "up");
    let page = curl(&[&format!("http://{at}/")]);
    assert!(page.contains("s_server") && page.contains("TLSv1.3"), "{page}");
    for (wrong, why) in [
        (format!("sni=inside.example {}", ca(&other)), "tls-failed"),
        (format!("sni=b.example {}", ca(&own)), "tls-failed"),
    ] {
        assert!(balancer.reload(&config(&wrong)).status.success());
        balancer.await_state("p", "a", "down");
        let status = balancer.status();
        assert_eq!(status["pools"][0]["servers"][0]["reason"], why, "{status:#}");
        assert!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("http://{at}/")]).starts_with('5'));
    }
    let output = balancer.reload(&config("verify=off"));
    assert!(output.status.success() && text(&output).contains("W524"), "{}", text(&output));
    balancer.await_state("p", "a", "up");
}

#[test]
fn clients_show_who_they_are() {
    let (scratch, at) = (Scratch::new("clients"), free());
    let (own, alice) =
        (Pair::make(&scratch, "own", &["shop.example"], "90"), Pair::make(&scratch, "alice", &["alice.example"], "90"));
    let respond = "respond 200 \"$ssl_client_verify $ssl_client_s_dn\"";
    let config = |verify: &str| {
        let ca = alice.cert.display();
        format!("https {at} {{\n    {}\n    tls client-ca={ca} {verify}\n    {respond}\n}}\n", own.line())
    };
    let balancer = Balancer::start(&config("verify=optional"));
    let (cert, key) = (alice.cert.to_str().unwrap(), alice.key.to_str().unwrap());
    assert_eq!(fetch(at, "shop.example", &own, &[]), "NONE ");
    let signed = fetch(at, "shop.example", &own, &["--cert", cert, "--key", key]);
    assert_eq!(signed, "SUCCESS CN=alice.example");
    assert!(balancer.reload(&config("")).status.success());
    let refused = fetch(at, "shop.example", &own, &[]);
    // Which alert it sees, or a reset, depends on who is quicker.
    assert!(refused.contains("curl: ("), "{refused}");
}

#[test]
fn check_says_what_is_wrong_with_certificates() {
    let scratch = Scratch::new("check");
    let good = Pair::make(&scratch, "good", &["shop.example"], "90");
    let ending = Pair::make(&scratch, "ending", &["shop.example"], "90");
    ending.expire(&scratch);
    let config = |cert: &PathBuf, key: &PathBuf| {
        let text = format!(
            "https :443 shop.example {{\n    cert {} key={}\n    to 127.0.0.1:80\n}}\n",
            cert.display(),
            key.display()
        );
        scratch.write("evenkeel.conf", &text)
    };
    let check = |path: PathBuf| {
        let output = command(&["check", path.to_str().unwrap()]);
        (output.status.code(), text(&output))
    };
    assert_eq!(check(config(&good.cert, &good.key)).0, Some(0));
    let (code, said) = check(config(&ending.cert, &ending.key));
    assert!(code == Some(0) && said.contains("W520") && said.contains("expired"), "{said}");
    let (code, said) = check(config(&good.cert, &ending.key));
    assert!(code == Some(2) && said.contains("E434") && said.contains("not that of the certificate"), "{said}");
    let (code, said) = check(config(&scratch.file("none.pem"), &good.key));
    assert!(code == Some(2) && said.contains("E434") && said.contains("no such file"), "{said}");
    let other = Pair::make(&scratch, "other", &["other.example"], "90");
    let (_, said) = check(config(&other.cert, &other.key));
    assert!(said.contains("W521") && said.contains("`other.example`"), "{said}");
    Command::new("chmod").arg("0644").arg(&good.key).status().unwrap();
    let (_, said) = check(config(&good.cert, &good.key));
    assert!(said.contains("W523") && said.contains("chmod 0600"), "{said}");
}

#[test]
fn a_client_that_never_ends_its_handshake_is_let_go() {
    let at = free();
    let balancer =
        Balancer::start(&format!("https {at} {{\n    cert self\n    timeout head=300ms\n    respond 200 ok\n}}\n"));
    let mut waiting: Vec<std::net::TcpStream> = (0..50).map(|_| std::net::TcpStream::connect(at).unwrap()).collect();
    for stream in &mut waiting {
        std::io::Write::write_all(stream, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").unwrap();
    }
    assert_eq!(curl(&["-k", &format!("https://{at}/")]), "ok");
    await_for("handshakes to be given up", PATIENCE, || {
        (balancer.status()["totals"]["connections"] == 0).then_some(())
    });
}

#[test]
fn testssl_finds_nothing_but_that_nobody_knows_the_issuer() {
    let (scratch, at) = (Scratch::new("testssl"), free());
    let pair = Pair::make(&scratch, "shop", &["shop.example"], "90");
    let _balancer = Balancer::start(&format!("https {at} {{\n    {}\n    respond 200 ok\n}}\n", pair.line()));
    let found = scratch.file("found.json");
    // Protocols, forward secrecy, preferences, the certificate, and every known weakness; not each old client's choice.
    let run = Command::new("timeout")
        .args(["120", "testssl", "--quiet", "--warnings", "off", "--ip", "one", "--fast", "-p", "-f", "-P", "-S", "-U"])
        .args(["--severity", "MEDIUM", "--jsonfile"])
        .arg(&found)
        .arg(at.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let json = std::fs::read_to_string(&found).unwrap_or_default();
    let list: serde_json::Value =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}\n{}", text(&run)));
    let serious: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| ["MEDIUM", "HIGH", "CRITICAL"].contains(&one["severity"].as_str().unwrap_or_default()))
        .map(|one| format!("{} {}: {}", one["severity"], one["id"], one["finding"]))
        .collect();
    // It signs itself, has no host of the public names, and nobody can be asked whether it was revoked.
    let of_issuer =
        ["cert_chain_of_trust", "cert_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL"];
    let rest: Vec<&String> = serious.iter().filter(|one| !of_issuer.iter().any(|known| one.contains(known))).collect();
    assert!(rest.is_empty(), "{rest:#?}");
}
