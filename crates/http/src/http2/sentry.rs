//! An eye on the frames of a connection: whoever sends many that cost us more than them is told to calm down, and whoever
//! breaks a rule that the library does not keep, or keeps by another name, what it was.
//!
//! Not here: what the frames mean; a library reads them, and keeps bounds of its own (streams at a time, the size of
//! heads, CONTINUATION frames, resets that it has to send). What it does not count is counted here, by the nine bytes in
//! front of each frame, before it sees them. Bytes pass in any cut. The invariant: a frame is counted once, and nothing
//! behind the frame that was too much is let through.

use std::time::Duration;

use evenkeel_model::caps;

use super::PREFACE;

/// Why a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// The peer sent too much of something.
    Flood(Flood),
    /// The peer broke a rule of the protocol.
    Breach(Breach),
}

impl Offence {
    /// The cause in one stable word, for counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Flood(flood) => flood.code(),
            Self::Breach(Breach::FrameSize) => "http2-frame-size",
            Self::Breach(Breach::Greeting) => "http2-no-settings",
            Self::Breach(Breach::OwnDependency) => "http2-own-dependency",
            Self::Breach(Breach::Window) => "http2-bad-window",
            Self::Breach(Breach::Ended) => "http2-stream-ended",
        }
    }

    /// The error code that the peer is told (RFC 9113 section 7).
    pub fn reason(self) -> u32 {
        match self {
            Self::Flood(_) => 0xb,
            Self::Breach(Breach::FrameSize) => 0x6,
            Self::Breach(Breach::Greeting) => 0x1,
            Self::Breach(Breach::OwnDependency) => 0x9,
            Self::Breach(Breach::Window) => 0x3,
            Self::Breach(Breach::Ended) => 0x5,
        }
    }
}

/// What a peer did that no peer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A frame whose length its kind does not have (RFC 9113 sections 6.3 to 6.9).
    FrameSize,
    /// Its first frame is not SETTINGS (section 3.4).
    Greeting,
    /// HEADERS of a stream that depends on itself. The library would reset the stream without having read its fields, and
    /// take those of later streams for others than were sent (section 4.3).
    OwnDependency,
    /// It gives streams a window of more than 2^31-1 bytes (section 6.5.2).
    Window,
    /// DATA or HEADERS of a stream that it has ended (section 5.1).
    Ended,
}

/// What a peer sent too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Streams that it reset, in a second, or, of a client, before they were answered.
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

/// Bytes of a frame that are looked at: its header (RFC 9113 section 4.1), and behind it the length of padding and the stream
/// that it depends on.
const LOOKED_AT: usize = HEADER + 1 + 4;
const HEADER: usize = 9;
/// Bytes of one setting: its name and its value (section 6.5.1).
const SETTING: usize = 6;
/// The setting that is the window of new streams (section 6.5.2).
const INITIAL_WINDOW: [u8; 2] = [0, 4];

/// Counts the frames that a peer sends.
#[derive(Debug, Clone)]
pub struct Sentry {
    /// Whether it is clients that are looked at. What a server breaks the library finds, and its requests go elsewhere.
    is_of_client: bool,
    /// Bytes that pass unseen before the next frame begins.
    skip: u64,
    front: [u8; LOOKED_AT],
    filled: usize,
    /// Bytes of settings that are still to be looked at.
    settings: u64,
    streams: Streams,
    /// When the second began that the counts are of.
    since: Option<Duration>,
    counts: Counts,
    /// Resets that a client is forgiven before an answer; each answer earns one more.
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
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RESET: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

mod flag {
    pub(super) const ACK: u8 = 0x1;
    pub(super) const END_STREAM: u8 = 0x1;
    pub(super) const END_HEADERS: u8 = 0x4;
    pub(super) const PADDED: u8 = 0x8;
    pub(super) const PRIORITY: u8 = 0x20;
}

impl Sentry {
    /// A sentry over what a client sends, its preface first.
    pub fn of_client() -> Self {
        Self { is_of_client: true, skip: PREFACE.len() as u64, ..Self::of_server() }
    }

    /// A sentry over what a server sends.
    pub fn of_server() -> Self {
        Self {
            is_of_client: false,
            skip: 0,
            front: [0; LOOKED_AT],
            filled: 0,
            settings: 0,
            streams: Streams::default(),
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
    /// What the peer did. The bytes are to go no further, and the connection is to end.
    pub fn see(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Offence> {
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
            if self.filled < self.wanted() {
                continue;
            }
            if self.settings > 0 {
                self.judge_setting().map_err(Offence::Breach)?;
            } else {
                self.judge().map_err(Offence::Breach)?;
                self.note_stream().map_err(Offence::Breach)?;
                self.count(now).map_err(Offence::Flood)?;
            }
        }
        if self.greeting == Greeting::Passing && self.skip == 0 && self.settings == 0 {
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
        if self.settings > 0 {
            return SETTING;
        }
        if self.filled < HEADER {
            return HEADER;
        }
        let [_, _, _, kind, flags, ..] = self.front;
        let padding = usize::from(flags & flag::PADDED != 0);
        let behind = match kind {
            kind::DATA => padding,
            kind::HEADERS if flags & flag::PRIORITY != 0 => padding.saturating_add(4),
            _ => 0,
        };
        // One that is too short for what it should have is the library's to refuse.
        if self.length() >= behind as u64 { HEADER.saturating_add(behind) } else { HEADER }
    }

    /// Whether the frame whose front is there may be.
    fn judge(&self) -> Result<(), Breach> {
        let length = self.length();
        let [_, _, _, kind, flags, a, b, c, d, behind @ ..] = self.front;
        let is_settled = flags & flag::ACK != 0;
        let fits = match kind {
            kind::PING => length == 8,
            kind::PRIORITY => length == 5,
            kind::RESET | kind::WINDOW_UPDATE => length == 4,
            kind::SETTINGS => length.is_multiple_of(6) && (length == 0 || !is_settled),
            kind::GOAWAY => length >= 8,
            _ => true,
        };
        let dependency = match (kind, behind) {
            (kind::HEADERS, [_, e, f, g, h]) if flags & flag::PADDED != 0 => [e, f, g, h],
            (_, [e, f, g, h, _]) => [e, f, g, h],
        };
        let own = |[a, b, c, d]: [u8; 4]| u32::from_be_bytes([a & 0x7f, b, c, d]);
        let has_dependency = kind == kind::HEADERS && flags & flag::PRIORITY != 0 && self.filled > HEADER;
        if self.is_of_client && self.greeting == Greeting::Awaited && (kind != kind::SETTINGS || is_settled) {
            Err(Breach::Greeting)
        } else if self.is_of_client && !fits {
            Err(Breach::FrameSize)
        } else if has_dependency && own(dependency) == own([a, b, c, d]) {
            Err(Breach::OwnDependency)
        } else {
            Ok(())
        }
    }

    /// Looks at the setting that is there, and goes on to the next.
    fn judge_setting(&mut self) -> Result<(), Breach> {
        let [name_high, name_low, high, ..] = self.front;
        self.settings = self.settings.saturating_sub(SETTING as u64);
        self.filled = 0;
        if [name_high, name_low] == INITIAL_WINDOW && high & 0x80 != 0 { Err(Breach::Window) } else { Ok(()) }
    }

    /// Notes the stream that the frame whose front is there begins or ends.
    fn note_stream(&mut self) -> Result<(), Breach> {
        let [_, _, _, kind, flags, a, b, c, d, ..] = self.front;
        if !self.is_of_client || !matches!(kind, kind::DATA | kind::HEADERS) {
            return Ok(());
        }
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        self.streams.note(stream, kind == kind::HEADERS, flags & flag::END_STREAM != 0)
    }

    fn length(&self) -> u64 {
        let [a, b, c, ..] = self.front;
        u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c)
    }

    /// Counts the frame whose front is there, and begins with the next one.
    fn count(&mut self, now: Duration) -> Result<(), Flood> {
        let length = self.length();
        let [_, _, _, kind, flags, _, _, _, _, padding, ..] = self.front;
        self.skip = length.saturating_sub(self.filled.saturating_sub(HEADER) as u64);
        self.filled = 0;
        if self.is_of_client && kind == kind::SETTINGS {
            self.settings = std::mem::take(&mut self.skip);
        }
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
            kind::RESET if self.is_of_client => {
                self.credit = self.credit.checked_sub(1).ok_or(Flood::Resets)?;
                (&mut counts.resets, caps::HTTP2_RESET_RATE, Flood::Resets)
            }
            // A server that has answered before it read the whole request says so with one (RFC 9113 section 8.1).
            kind::RESET => (&mut counts.resets, caps::HTTP2_SERVER_RESET_RATE, Flood::Resets),
            // One for each SETTINGS of ours, and no more: the library ends a connection on which another one comes.
            kind::SETTINGS if flags & flag::ACK != 0 => return Ok(()),
            kind::SETTINGS => (&mut counts.settings, caps::HTTP2_SETTINGS_RATE, Flood::Settings),
            kind::PING => (&mut counts.pings, caps::HTTP2_PING_RATE, Flood::Pings),
            kind::WINDOW_UPDATE => (&mut counts.windows, caps::HTTP2_WINDOW_RATE, Flood::Windows),
            _ => (&mut counts.idle, caps::HTTP2_IDLE_RATE, Flood::Idle),
        };
        *count = count.saturating_add(1);
        if *count > most { Err(flood) } else { Ok(()) }
    }
}

/// Which streams a client has begun, and which of them it has ended.
#[derive(Debug, Clone, Default)]
struct Streams {
    /// Nothing is said of these and of those below: some were passed over, or too many are open.
    unknown: u32,
    last: u32,
    /// Those above `unknown` that the client has not ended, in order. Who resets one may still have frames under way.
    open: Vec<u32>,
}

impl Streams {
    /// Notes a frame of a stream that has a head or a body in it.
    fn note(&mut self, stream: u32, is_head: bool, is_end: bool) -> Result<(), Breach> {
        if is_head && stream > self.last {
            self.begin(stream, is_end);
            return Ok(());
        }
        if stream <= self.unknown || stream > self.last {
            return Ok(());
        }
        let at = self.open.binary_search(&stream).map_err(|_| Breach::Ended)?;
        if is_end {
            self.open.remove(at);
        }
        Ok(())
    }

    fn begin(&mut self, stream: u32, is_end: bool) {
        if stream > self.last.saturating_add(2) {
            self.unknown = stream.saturating_sub(1);
            self.open.clear();
        }
        self.last = stream;
        if is_end {
            return;
        }
        if self.open.len() >= caps::HTTP2_OPEN_SEEN {
            self.unknown = self.open.remove(0);
        }
        self.open.push(stream);
    }
}
