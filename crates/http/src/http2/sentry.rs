//! An eye on the frames of a connection: whoever sends many that cost us more than them is told to calm down.
//!
//! Not here: what the frames mean; a library reads them, and keeps bounds of its own (streams at a time, the size of
//! heads, CONTINUATION frames, resets that it has to send). What it does not count is counted here, by the nine bytes in
//! front of each frame, before it sees them. Bytes pass in any cut. The invariant: a frame is counted once, and nothing
//! behind the frame that was too much is let through.

use std::time::Duration;

use evenkeel_model::caps;

use super::PREFACE;

/// What a peer sent too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Streams that it reset, in a second, or before they were answered.
    Resets,
    /// PING frames.
    Pings,
    /// SETTINGS frames.
    Settings,
    /// DATA frames with nothing in them that do not end a stream.
    EmptyData,
    /// PRIORITY frames, and frames of kinds that nobody knows.
    Idle,
    /// WINDOW_UPDATE frames.
    Windows,
}

impl Flood {
    /// The cause in one stable word, for counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Resets => "http2-resets",
            Self::Pings => "http2-pings",
            Self::Settings => "http2-settings",
            Self::EmptyData => "http2-empty-data",
            Self::Idle => "http2-idle-frames",
            Self::Windows => "http2-window-updates",
        }
    }
}

/// Bytes of a frame that are looked at: its header (RFC 9113 section 4.1), and the length of padding behind it.
const LOOKED_AT: usize = 10;
const HEADER: usize = 9;

/// Counts the frames that a peer sends.
#[derive(Debug, Clone)]
pub struct Sentry {
    /// Bytes that pass unseen before the next frame begins.
    skip: u64,
    front: [u8; LOOKED_AT],
    filled: usize,
    /// When the second began that the counts are of.
    since: Option<Duration>,
    counts: Counts,
    /// Resets that are forgiven before an answer; each answer earns one more.
    credit: u32,
    /// Since when the peer owes the rest of a block of fields.
    in_block: Option<Duration>,
    greeting: Greeting,
    is_leaving: bool,
}

/// Where the first frame stands, which is the peer's SETTINGS (RFC 9113 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Awaited,
    Passing,
    Passed,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    resets: u32,
    pings: u32,
    settings: u32,
    empty: u32,
    idle: u32,
    windows: u32,
}

/// The kinds of frames (RFC 9113 section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RESET: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

mod flag {
    pub(super) const END_STREAM: u8 = 0x1;
    pub(super) const END_HEADERS: u8 = 0x4;
    pub(super) const PADDED: u8 = 0x8;
}

impl Sentry {
    /// A sentry over what a client sends, its preface first.
    pub fn of_client() -> Self {
        Self { skip: PREFACE.len() as u64, ..Self::of_server() }
    }

    /// A sentry over what a server sends.
    pub fn of_server() -> Self {
        Self {
            skip: 0,
            front: [0; LOOKED_AT],
            filled: 0,
            since: None,
            counts: Counts::default(),
            credit: caps::HTTP2_RESETS_UNANSWERED,
            in_block: None,
            greeting: Greeting::Awaited,
            is_leaving: false,
        }
    }

    /// Looks at bytes as they arrive; `now` is the time since any one moment.
    ///
    /// # Errors
    /// What there was too much of. The bytes are to go no further, and the connection is to end.
    pub fn see(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip = self.skip.saturating_sub(passed as u64);
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let wanted = self.wanted();
            let room = self.front.get_mut(self.filled..wanted).unwrap_or_default();
            let taken = room.len().min(bytes.len());
            let (fresh, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            if let Some(room) = room.get_mut(..taken) {
                room.copy_from_slice(fresh);
            }
            self.filled = self.filled.saturating_add(taken);
            bytes = rest;
            if self.filled >= self.wanted() {
                self.count(now)?;
            }
        }
        if self.greeting == Greeting::Passing && self.skip == 0 {
            self.greeting = Greeting::Passed;
        }
        Ok(())
    }

    /// Notes that a stream was answered, be it in part: who is served may change its mind now and then.
    pub fn answered(&mut self) {
        self.credit = self.credit.saturating_add(1).min(caps::HTTP2_RESETS_UNANSWERED);
    }

    /// Whether the peer's SETTINGS, which are the first that it says, came whole.
    pub fn has_greeted(&self) -> bool {
        self.greeting == Greeting::Passed
    }

    /// Whether the peer said that it takes no further streams (GOAWAY, RFC 9113 section 6.8).
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Since when the peer owes the rest of a block of fields, if it does.
    pub fn owes_fields_since(&self) -> Option<Duration> {
        self.in_block
    }

    /// Bytes of the frame's front that must be there before it can be judged.
    fn wanted(&self) -> usize {
        let [.., kind, flags, _, _, _, _, _] = self.front;
        let is_padded_data = kind == kind::DATA && flags & flag::PADDED != 0 && self.length() > 0;
        if self.filled >= HEADER && is_padded_data { LOOKED_AT } else { HEADER }
    }

    fn length(&self) -> u64 {
        let [a, b, c, ..] = self.front;
        u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c)
    }

    /// Counts the frame whose front is there, and begins with the next one.
    fn count(&mut self, now: Duration) -> Result<(), Flood> {
        let length = self.length();
        let [.., kind, flags, _, _, _, _, padding] = self.front;
        self.skip = length.saturating_sub(self.filled.saturating_sub(HEADER) as u64);
        self.filled = 0;
        self.greeting = if self.greeting == Greeting::Awaited { Greeting::Passing } else { Greeting::Passed };
        if self.since.is_none_or(|since| now.saturating_sub(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.counts = Counts::default();
        }
        let counts = &mut self.counts;
        let is_empty_data = || {
            let stuffing = if flags & flag::PADDED != 0 { u64::from(padding).saturating_add(1) } else { 0 };
            flags & flag::END_STREAM == 0 && length <= stuffing
        };
        let (count, most, flood) = match kind {
            kind::HEADERS | kind::CONTINUATION => {
                let is_open = flags & flag::END_HEADERS == 0;
                self.in_block = is_open.then(|| self.in_block.unwrap_or(now));
                return Ok(());
            }
            kind::DATA if is_empty_data() => (&mut counts.empty, caps::HTTP2_EMPTY_DATA_RATE, Flood::EmptyData),
            kind::DATA => return Ok(()),
            kind::GOAWAY => {
                self.is_leaving = true;
                return Ok(());
            }
            kind::RESET => {
                self.credit = self.credit.checked_sub(1).ok_or(Flood::Resets)?;
                (&mut counts.resets, caps::HTTP2_RESET_RATE, Flood::Resets)
            }
            kind::SETTINGS => (&mut counts.settings, caps::HTTP2_SETTINGS_RATE, Flood::Settings),
            kind::PING => (&mut counts.pings, caps::HTTP2_PING_RATE, Flood::Pings),
            kind::WINDOW_UPDATE => (&mut counts.windows, caps::HTTP2_WINDOW_RATE, Flood::Windows),
            _ => (&mut counts.idle, caps::HTTP2_IDLE_RATE, Flood::Idle),
        };
        *count = count.saturating_add(1);
        if *count > most { Err(flood) } else { Ok(()) }
    }
}
