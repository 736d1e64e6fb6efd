//! A real Chromium without a window, driven over its DevTools protocol through pipes.
//!
//! Messages are JSON objects, each ended by a zero byte. The invariant: the browser ends with its owner, by the id of its
//! process, and its profile with it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Scratch;
use crate::{LOOK_AGAIN, PATIENCE};

/// A browser takes its time on a busy machine.
const BROWSER_PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to end, and its children after it.
const CLOSING: Duration = Duration::from_secs(5);

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What the page complained of: exceptions, and what its policy refused.
    complaints: VecDeque<String>,
    profile: Scratch,
}

impl Browser {
    /// Starts it with an empty page of this size.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(width: u32, height: u32) -> Self {
        Self::start_with(width, height, "")
    }

    /// The same with these words of its command line.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_with(width: u32, height: u32, words: &str) -> Self {
        let profile = Scratch::new("chromium");
        // The protocol is spoken on descriptors 3 and 4; a sandbox within a sandbox needs rights that tests may lack.
        let line = format!(
            "exec setpriv --pdeathsig KILL -- chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage \
             --no-first-run {words} --remote-debugging-pipe --user-data-dir={} about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            profile.path().display()
        );
        let mut child = Command::new("bash")
            .args(["-c", &line])
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let orders = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let Ok(message) = serde_json::from_slice(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let session = String::new();
        let complaints = VecDeque::new();
        let mut browser = Self { child, orders, messages, session, number: 0, complaints, profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().expect("a session has an id").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}));
        }
        browser.resize(width, height);
        browser
    }

    /// Gives the page another size; below 600 it is a phone's.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Whether the page is to be dark.
    pub fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &feature);
    }

    /// Switches scripts of pages off or on, from the next page on.
    pub fn allow_scripts(&mut self, are_allowed: bool) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({ "value": !are_allowed }));
    }

    /// Lets what is evaluated here pass the page's policy.
    pub fn bypass_policy(&mut self) {
        self.call("Page.setBypassCSP", &json!({ "enabled": true }));
    }

    /// Goes to a page and waits until it is there.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression; a promise is waited for.
    ///
    /// # Panics
    /// Where it throws.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// The value of an expression as text.
    ///
    /// # Panics
    /// Where it throws.
    pub fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// Where it does not become so; it says what the page shows.
    pub fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(&format!("Boolean({expression})")) != Value::Bool(true) {
            if began.elapsed() > PATIENCE * 2 {
                let shown = self.text("document.body.innerText");
                panic!("waited in vain for {expression}; the page shows:\n{shown}");
            }
            std::thread::sleep(LOOK_AGAIN * 10);
        }
    }

    /// Clicks what the selector finds.
    ///
    /// # Panics
    /// Where there is no such thing.
    pub fn click(&mut self, selector: &str) {
        let quoted = Value::from(selector).to_string();
        let script =
            format!("(() => {{ const it = document.querySelector({quoted}); it && it.click(); return !!it; }})()");
        assert_eq!(self.value(&script), Value::Bool(true), "{selector} is not on the page");
    }

    /// Presses a key, as a keyboard does.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// The cookies that it would send to a URL.
    pub fn cookies(&mut self, url: &str) -> Vec<Value> {
        let answer = self.call("Network.getCookies", &json!({ "urls": [url] }));
        answer["cookies"].as_array().cloned().unwrap_or_default()
    }

    /// What the page complained of since this was asked last.
    pub fn complaints(&mut self) -> Vec<String> {
        // Everything that was said before this answer has arrived with it.
        self.call("Runtime.evaluate", &json!({ "expression": "1" }));
        self.complaints.drain(..).collect()
    }

    /// A picture of the page, where `EVENKEEL_SCREENSHOTS` names a folder.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("EVENKEEL_SCREENSHOTS") else { return };
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let bytes = decoded(shot["data"].as_str().unwrap_or_default());
        let path = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = Value::from(self.session.clone());
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.orders.write_all(&bytes).unwrap_or_else(|error| panic!("the browser is gone: {error}"));
        loop {
            let answer = self.messages.recv_timeout(BROWSER_PATIENCE);
            let answer = answer.unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if answer["id"] == self.number {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push_back(event["params"].to_string()),
            Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                self.complaints.push_back(event["params"]["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // bash and setpriv became the browser: it is our child, and its own children end with it, a moment later.
        self.number += 1;
        let close = json!({ "id": self.number, "method": "Browser.close" }).to_string() + "\0";
        let _ = self.orders.write_all(close.as_bytes());
        let began = Instant::now();
        while began.elapsed() < CLOSING && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        while began.elapsed() < 2 * CLOSING && std::fs::remove_dir_all(self.profile.path()).is_err() {
            std::thread::sleep(LOOK_AGAIN);
        }
        // Its owner takes the empty folder away.
        let _ = std::fs::create_dir_all(self.profile.path());
    }
}

/// Base64 without a check: it comes from the browser.
fn decoded(text: &str) -> Vec<u8> {
    let value = |symbol: u8| match symbol {
        b'A'..=b'Z' => Some(symbol - b'A'),
        b'a'..=b'z' => Some(symbol - b'a' + 26),
        b'0'..=b'9' => Some(symbol - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut gathered, mut bits) = (Vec::with_capacity(text.len()), 0u32, 0);
    for six in text.bytes().filter_map(value) {
        gathered = (gathered << 6 | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((gathered >> bits & 0xff) as u8);
        }
    }
    bytes
}
