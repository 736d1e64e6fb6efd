//! Golden files: each wrong configuration with what is said of it, each right one with its JSON twin. `UPDATE_GOLDEN=1` writes
//! them anew; what changed is then to be read.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_config::{
    Code, Diagnostic, Loaded, MemorySource, Options, Show, Style, Unseen, load, render, show, summary,
};
use evenkeel_model::config::{CertificateSource, Host, ListenAddr, Listener, SecretRef, ZoneSource};

fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The configurations of a directory: name and bytes.
fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(dir(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "txt" && extension != "twin"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Loads a file as if it lay in the working directory.
fn load_of(name: &str, bytes: &[u8]) -> Loaded {
    let mut bytes = bytes.to_vec();
    if name.contains("huge") {
        bytes.resize(evenkeel_model::caps::CONFIG_FILE_BYTES + 1, b'\n');
    }
    load(Path::new(name), &MemorySource::default().with(name, bytes), &Options::default())
}

/// What is known only while running, here told by addresses that are set aside for documents (RFC 2606, RFC 5737).
fn found_at_run_time(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Some(config) = &loaded.config else { return found };
    for listener in &config.listeners {
        if matches!(listener.addr, ListenAddr::One(addr) if addr.to_string().starts_with("192.0.2.")) {
            found.push(loaded.unbindable(&listener.name, "the address is none of this machine's"));
        }
    }
    found.extend(config.listeners.iter().flat_map(|listener| found_of_certificates(loaded, listener)));
    for zone in config.dns.iter().flat_map(|dns| &dns.zones) {
        if matches!(&zone.source, ZoneSource::File(path) if path.starts_with("/nonexistent")) {
            found.push(loaded.zone_unusable(&zone.name, "no such file or directory"));
        }
        if matches!(&zone.source, ZoneSource::File(path) if path.starts_with("/doubtful")) {
            found.push(loaded.zone_doubted(&zone.name, "what is doubtful about its file"));
        }
    }
    for dir in config.listeners.iter().flat_map(|listener| &listener.sites).filter_map(|site| site.errors.as_deref()) {
        if dir.starts_with("/nonexistent") {
            found.push(loaded.file_unusable(
                dir,
                "error pages in `/nonexistent/errors`: no such file or directory",
                false,
            ));
        } else if dir.starts_with("/srv/closed") {
            found.push(loaded.not_looked_at(&Unseen::File(dir), "permission denied"));
        }
    }
    for pool in &config.pools {
        for server in &pool.servers {
            if matches!(&server.addr.host, Host::Name(name) if name.ends_with(".invalid")) {
                let id = pool.id_of(server);
                found.push(loaded.unresolved(&id, "no such name"));
            }
        }
        let ca = pool.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        if ca.is_some_and(|ca| ca.starts_with("/nonexistent")) {
            found.push(loaded.pool_tls(
                Code::E434,
                &pool.name,
                "`/nonexistent/internal.pem`: no such file or directory",
            ));
        }
        let key = pool.sticky.iter().find_map(|sticky| sticky.cookie()?.key.as_ref());
        if matches!(key, Some(SecretRef::File(path)) if path.starts_with("/nonexistent")) {
            found.push(loaded.secret_unreadable(&pool.name, "no such file or directory"));
        }
    }
    found
}

fn found_of_certificates(loaded: &Loaded, listener: &Listener) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Some(tls) = &listener.tls else { return found };
    for (index, source) in tls.certificates.iter().enumerate() {
        let CertificateSource::Files { cert, .. } = source else { continue };
        if cert.starts_with("/nonexistent") {
            let cause = format!("`{}`: no such file or directory", cert.display());
            found.push(loaded.certificate_unusable(&listener.name, index, &cause));
        }
        let code = cert.file_stem().and_then(|stem| Code::find(&stem.to_string_lossy()));
        if let Some(code) = code.filter(|_| cert.starts_with("/doubtful")) {
            let doubt = format!("what is doubtful about `{}`", cert.display());
            found.push(loaded.certificate_doubted(code, (&listener.name, index), &doubt));
        }
    }
    if let Some(clients) = tls.clients.as_ref().filter(|clients| clients.ca.starts_with("/nonexistent")) {
        let cause = format!("`{}`: no such file or directory", clients.ca.display());
        found.push(loaded.client_authority_unusable(&listener.name, &cause));
    }
    found
}

fn hold(path: &Path, got: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, got).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == got, "{} differs; got:\n{got}", path.display());
}

#[test]
fn each_wrong_configuration_is_told_what_is_wrong() {
    let mut raised: BTreeSet<Code> = BTreeSet::new();
    let mut mixtures: Vec<String> = Vec::new();
    let all = files("wrong");
    assert!(all.len() >= 60, "{} wrong configurations", all.len());
    for (name, bytes) in &all {
        let loaded = load_of(name, bytes);
        let late = found_at_run_time(&loaded);
        let diagnostics: Vec<Diagnostic> = loaded.diagnostics.iter().chain(&late).cloned().collect();
        raised.extend(diagnostics.iter().map(|diagnostic| diagnostic.code));
        if let Some(code) = name.split('-').next().and_then(Code::find) {
            let others: Vec<_> = diagnostics.iter().filter(|diagnostic| diagnostic.code != code).collect();
            let mixed = name.contains("haproxy") || name.contains("nginx") || name.contains("deep");
            if !mixed && !others.is_empty() {
                mixtures.push(format!("{name} shows one kind of mistake, and got {others:#?}"));
            }
            if !diagnostics.iter().any(|diagnostic| diagnostic.code == code) {
                mixtures.push(format!("{name} does not raise its code: {diagnostics:#?}"));
            }
        }
        let refused = diagnostics.iter().any(Diagnostic::is_error);
        assert!(loaded.config.is_none() == refused || !late.is_empty(), "{name}");
        let text = render(&diagnostics, &loaded.sources, Style::Human { color: false });
        hold(&dir("wrong").join(name).with_extension("txt"), &format!("{text}{}\n", summary(&loaded)));
    }
    assert!(mixtures.is_empty(), "{}", mixtures.join("\n"));
    for code in Code::ALL {
        assert!(raised.contains(code), "no golden file raises {code}");
    }
}

#[test]
fn each_right_configuration_has_its_twin_and_stays_the_same_when_formatted() {
    for (name, bytes) in files("right") {
        let loaded = load_of(&name, &bytes);
        let said = render(&loaded.diagnostics, &loaded.sources, Style::Short);
        assert!(loaded.config.is_some() && loaded.diagnostics.is_empty(), "{name}: {said}");
        let twin = show(&loaded, Show { json: true, defaults: false });
        hold(&dir("right").join(&name).with_extension("twin"), &twin);
        assert_eq!(load_of("twin.json", twin.as_bytes()).config, loaded.config, "{name}");
        let formatted = evenkeel_config::format(&String::from_utf8(bytes).unwrap());
        assert_eq!(load_of(&name, formatted.as_bytes()).config, loaded.config, "{name}");
        hold(&dir("right").join(&name).with_extension("fmt.txt"), &formatted);
        hold(
            &dir("right").join(&name).with_extension("defaults.txt"),
            &show(&loaded, Show { json: false, defaults: true }),
        );
    }
}

#[test]
fn one_report_has_a_line_for_each_in_the_short_form_and_all_of_it_in_json() {
    let (name, bytes) = files("wrong").into_iter().find(|(name, _)| name.starts_with("many")).unwrap();
    let loaded = load_of(&name, &bytes);
    let short = render(&loaded.diagnostics, &loaded.sources, Style::Short);
    assert_eq!(short.lines().count(), loaded.diagnostics.len());
    assert!(short.lines().all(|line| line.starts_with("many-mistakes.conf:") && line.contains(": error[E")), "{short}");
    let list: serde_json::Value =
        serde_json::from_str(&render(&loaded.diagnostics, &loaded.sources, Style::Json)).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), loaded.diagnostics.len());
    assert!(list.iter().all(|one| one["place"]["line"].as_u64() > Some(0) && one["code"].is_string()));
}
