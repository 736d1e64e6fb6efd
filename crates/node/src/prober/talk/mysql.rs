//! MySQL and MariaDB: the server's greeting, answered by a login that may fail, so that the server does not count the
//! check among connections that broke off and block us for it.

use super::{Finding, Step, shown};

/// What is asked of a MySQL server.
pub(super) struct Mysql<'a> {
    user: &'a str,
    greeting: Option<String>,
}

/// Protocol 4.1, its way of logging in, and plugins for that.
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
/// Bytes that we would take in one packet.
const PACKET_BYTES: u32 = 1 << 24;
/// `utf8mb3_general_ci`, which every version knows.
const COLLATION: u8 = 33;
/// Errors that say that the server does not take connections: too many, blocked, shutting down.
const NOT_READY: [u16; 4] = [1040, 1053, 1129, 1203];

impl<'a> Mysql<'a> {
    pub(super) fn new(user: &'a str) -> Self {
        Self { user, greeting: None }
    }

    pub(super) fn hear(&mut self, heard: &mut Vec<u8>) -> Step {
        let Some((payload, length)) = packet(heard) else { return Step::More };
        let step = match (payload.first(), &self.greeting) {
            (Some(0xff), _) => Step::Done(self.of_error(payload)),
            (Some(10), None) => {
                let version = payload.get(1..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
                self.greeting = Some(shown(version));
                Step::Say(self.login())
            }
            // Logged in, or asked to prove it in another way: either is the answer of a server that serves.
            (Some(_), Some(version)) => Step::Done(Finding::Serves(Some(version.clone()))),
            (Some(other), None) => Step::Done(Finding::Malformed(format!("protocol {other}, expected 10"))),
            (None, _) => Step::Done(Finding::Malformed("an empty packet".to_owned())),
        };
        heard.drain(..length.min(heard.len()));
        step
    }

    /// An answer to the greeting, without a password.
    fn login(&self) -> Vec<u8> {
        let mut body = CAPABILITIES.to_le_bytes().to_vec();
        body.extend_from_slice(&PACKET_BYTES.to_le_bytes());
        body.push(COLLATION);
        body.extend_from_slice(&[0; 23]);
        body.extend_from_slice(self.user.as_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(b"mysql_native_password\0");
        let length = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
        [&length[..3], &[1], &body].concat()
    }

    /// An error is the answer of a server that lives, unless it says that it takes nobody.
    fn of_error(&self, payload: &[u8]) -> Finding {
        let code = payload.get(1..3).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes);
        let text = payload.get(3..).unwrap_or_default();
        // Behind a login the message has a state of five characters before it.
        let text = match text.first() {
            Some(b'#') => text.get(6..).unwrap_or_default(),
            _ => text,
        };
        let said = format!("{code} {}", shown(text));
        if self.greeting.is_none() || NOT_READY.contains(&code) {
            Finding::NotReady(said)
        } else {
            Finding::Serves(self.greeting.clone())
        }
    }
}

/// The first packet's payload, and the length of the whole, once it is there.
fn packet(heard: &[u8]) -> Option<(&[u8], usize)> {
    let [low, middle, high, _number] = heard.get(..4)? else { return None };
    let length = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    let whole = length.saturating_add(4);
    Some((heard.get(4..whole)?, whole))
}
