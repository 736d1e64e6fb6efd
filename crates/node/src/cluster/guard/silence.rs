//! Devices that keep silent, for a while, of addresses which are not their own: two settings of the kernel.
//!
//! What stood there before is noted in a file first: where this process is killed, the next one puts it back. The
//! invariant: as long as a setting is ours, the note says what it was, if there is a place for notes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use evenkeel_net::files;

/// How a device answers ARP, and with which of its addresses it asks (ip-sysctl): not for or with those of others.
const SILENT: [(&str, &str); 2] = [("arp_ignore", "1"), ("arp_announce", "2")];
/// Where devices have their settings.
pub(super) const SETTINGS: &str = "/proc/sys/net/ipv4/conf";
/// Bytes of a note: two lines for each of more devices than a machine has.
const NOTE_BYTES: usize = 64 * 1024;
/// Bytes of a device's name (`IFNAMSIZ`, its last byte left out).
const NAME_BYTES: usize = 15;

/// Devices that were silenced, and what they were before.
pub(super) struct Silence {
    settings: PathBuf,
    note: Option<PathBuf>,
    /// Which run of the kernel, and which of its networks, the settings belong to: another one has its own.
    world: String,
    changed: Vec<Setting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    device: String,
    name: &'static str,
    ours: &'static str,
    before: String,
}

impl Silence {
    /// Begins with what it was before: what a killed process noted is put back.
    pub(super) fn begin(note: Option<PathBuf>) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let network = fs::read_link("/proc/self/ns/net").unwrap_or_default();
        Self::begin_at(SETTINGS.into(), note, format!("{} {}", boot.trim(), network.display()))
    }

    fn begin_at(settings: PathBuf, note: Option<PathBuf>, world: String) -> Self {
        let mut silence = Self { settings, note, world, changed: Vec::new() };
        silence.changed = silence.noted();
        let mut devices: Vec<String> = silence.changed.iter().map(|setting| setting.device.clone()).collect();
        devices.dedup();
        for device in devices {
            tracing::warn!(
                "{device} was left silent of service addresses by a process that was killed, and is not now"
            );
            silence.end(&device);
        }
        // One of another world is worth nothing.
        silence.write_note();
        silence
    }

    /// Has a device keep silent.
    ///
    /// # Errors
    /// Where a setting cannot be changed. Others may be by then: [`Self::end`] puts them back.
    pub(super) fn keep(&mut self, device: &str) -> io::Result<()> {
        for (name, ours) in SILENT {
            let path = self.path(device, name);
            let before = fs::read_to_string(&path)?.trim().to_owned();
            if before != ours {
                self.changed.push(Setting { device: device.to_owned(), name, ours, before });
                self.write_note();
                fs::write(&path, ours)?;
            }
        }
        Ok(())
    }

    /// Puts a device's settings back. What somebody else has changed meanwhile stays.
    pub(super) fn end(&mut self, device: &str) {
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.changed).into_iter().partition(|setting| setting.device == device);
        self.changed = rest;
        for setting in over {
            let path = self.path(device, setting.name);
            let is_ours = fs::read_to_string(&path).is_ok_and(|now| now.trim() == setting.ours);
            if is_ours && let Err(error) = fs::write(&path, &setting.before) {
                tracing::warn!("`{}` is not {} again: {error}", path.display(), setting.before);
            }
        }
        self.write_note();
    }

    fn path(&self, device: &str, name: &str) -> PathBuf {
        self.settings.join(device).join(name)
    }

    /// What a note says. It lies where a user with fewer rights may write: only what a note of ours can say is taken.
    fn noted(&self) -> Vec<Setting> {
        let Some(bytes) = self.note.as_ref().and_then(|note| files::read_regular(note, NOTE_BYTES).ok()) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        if lines.next() != Some(&self.world) {
            return Vec::new();
        }
        lines.filter_map(setting).collect()
    }

    /// Writes what would have to be put back. A note that cannot be written costs this after a kill, and nothing else.
    fn write_note(&self) {
        let Some(note) = &self.note else { return };
        let outcome = if self.changed.is_empty() {
            fs::remove_file(note).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
        } else {
            let line = |it: &Setting| format!("{} {} {}\n", it.device, it.name, it.before);
            let text: String = self.changed.iter().map(line).collect();
            replace(note, format!("{}\n{text}", self.world).as_bytes())
        };
        if let Err(error) = outcome {
            tracing::warn!("`{}` cannot be written, and a kill would leave devices silent: {error}", note.display());
        }
    }
}

/// In one step, and without waiting for the disk: a machine that ends takes its settings along. A new file, never one that
/// lies there already.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    // A left-over, or none.
    let _ = fs::remove_file(&beside);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?.write_all(content)?;
    fs::rename(&beside, path)
}

/// A line of a note.
fn setting(line: &str) -> Option<Setting> {
    let mut words = line.split(' ');
    let (device, name, before) = (words.next()?, words.next()?, words.next()?);
    let (name, ours) = SILENT.into_iter().find(|(known, _)| *known == name)?;
    let is_name = (1..=NAME_BYTES).contains(&device.len()) && !device.contains('/') && !device.starts_with('.');
    let is_value = before.len() <= 2 && before.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && is_value && words.next().is_none()).then(|| Setting {
        device: device.to_owned(),
        name,
        ours,
        before: before.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    struct Scene(Scratch);

    impl Scene {
        fn new() -> Self {
            let scene = Self(Scratch::new());
            for device in ["eth0", "eth1"] {
                fs::create_dir_all(scene.path(&format!("conf/{device}"))).unwrap();
                scene.set(device, ["0", "0"]);
            }
            scene
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn begin(&self, world: &str) -> Silence {
            Silence::begin_at(self.path("conf"), Some(self.path("note")), world.to_owned())
        }

        fn set(&self, device: &str, values: [&str; 2]) {
            for ((name, _), value) in SILENT.into_iter().zip(values) {
                fs::write(self.path(&format!("conf/{device}/{name}")), format!("{value}\n")).unwrap();
            }
        }

        fn now(&self, device: &str) -> [String; 2] {
            SILENT.map(|(name, _)| {
                fs::read_to_string(self.path(&format!("conf/{device}/{name}"))).unwrap().trim().to_owned()
            })
        }

        fn has_note(&self) -> bool {
            self.path("note").exists()
        }
    }

    #[test]
    fn what_a_killed_process_left_is_put_back() {
        let scene = Scene::new();
        let mut silence = scene.begin("one");
        silence.keep("eth0").unwrap();
        silence.keep("eth0").unwrap();
        assert_eq!(scene.now("eth0"), ["1", "2"]);
        assert!(scene.has_note());
        drop(silence);
        // The next one finds what the first has written, and knows better.
        let mut silence = scene.begin("one");
        assert_eq!(scene.now("eth0"), ["0", "0"]);
        assert!(!scene.has_note());
        silence.keep("eth0").unwrap();
        silence.end("eth0");
        assert_eq!(scene.now("eth0"), ["0", "0"]);
        assert!(!scene.has_note());
    }

    #[test]
    fn a_device_is_put_back_alone_and_not_over_others_words() {
        let scene = Scene::new();
        scene.set("eth1", ["2", "1"]);
        let mut silence = scene.begin("one");
        silence.keep("eth0").unwrap();
        silence.keep("eth1").unwrap();
        scene.set("eth0", ["8", "2"]);
        silence.end("eth0");
        assert_eq!(scene.now("eth0"), ["8", "0"], "an operator has set the first meanwhile");
        assert_eq!(scene.now("eth1"), ["1", "2"]);
        drop(silence);
        scene.begin("one");
        assert_eq!(scene.now("eth1"), ["2", "1"]);
    }

    #[test]
    fn of_what_fails_in_the_middle_nothing_is_left() {
        let scene = Scene::new();
        let mut silence = scene.begin("one");
        fs::remove_file(scene.path("conf/eth0/arp_announce")).unwrap();
        assert!(silence.keep("eth0").is_err());
        silence.end("eth0");
        assert_eq!(fs::read_to_string(scene.path("conf/eth0/arp_ignore")).unwrap().trim(), "0");
        assert!(!scene.has_note());
    }

    #[test]
    fn a_note_of_another_life_or_by_somebody_else_changes_nothing() {
        let scene = Scene::new();
        scene.begin("one").keep("eth0").unwrap();
        scene.begin("two");
        assert_eq!(scene.now("eth0"), ["1", "2"], "the settings of another run are its own");

        scene.set("eth1", ["1", "2"]);
        let hostile = "one\n../eth1 arp_ignore 0\n. arp_ignore 0\neth1 rp_filter 0\neth1 arp_ignore -1\neth1 arp_ignore \
                       0 0\neth1\n\n/eth1 arp_ignore 0\n";
        fs::write(scene.path("note"), hostile).unwrap();
        scene.begin("one");
        assert_eq!(scene.now("eth1"), ["1", "2"]);
    }
}
