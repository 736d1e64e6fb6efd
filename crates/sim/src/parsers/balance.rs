//! Tokens that clients bring back, and the file of sessions.

use std::time::Duration;

use evenkeel_balance::sessions::{Entry, TableSecret, TableWriter, read_tables};
use evenkeel_balance::{Key, Keys, Sealer, ServerUid, Token};
use evenkeel_model::PoolName;
use evenkeel_model::config::StickyCookie;

const NOW: u64 = 1_800_000_000;

/// A token: what nobody sealed opens nowhere, what was sealed opens as it was, and one changed bit closes it.
pub fn token(bytes: &[u8]) {
    let sealer = sealer(b"the secret of the one");
    assert!(sealer.open(bytes, NOW).is_err(), "a token that nobody sealed");
    let number = |at: usize| bytes.get(at).copied().map_or(0, u64::from);
    let uid = (0..8).fold(0, |sum, at| (sum << 8) | number(at));
    let token = Token::new(ServerUid::from_bits(uid), 7, NOW);
    let mut text = Vec::new();
    sealer.seal(&token, [u8::try_from(number(8)).unwrap_or(0); 24], &mut text);
    assert_eq!(sealer.open(&text, NOW), Ok(token));
    assert!(self::sealer(b"the secret of another").open(&text, NOW).is_err(), "another secret opens it");
    let at = usize::try_from(number(9)).unwrap_or(0) % text.len();
    if let Some(byte) = text.get_mut(at) {
        *byte ^= 1 << (number(10) % 7);
    }
    assert!(sealer.open(&text, NOW).is_err(), "changed at {at}, and open");
}

fn sealer(secret: &[u8]) -> Sealer {
    let times = (Duration::from_secs(1800), Duration::from_secs(86_400));
    let cookie = StickyCookie { idle: times.0, life: times.1, ..StickyCookie::new("SID".to_owned()) };
    let current = Key::derive(secret).expect("the secret is long enough");
    let pool = PoolName::new("shop").expect("the name is one");
    Sealer::new(Keys { current, previous: Vec::new() }, &pool, &cookie)
}

/// A file of sessions: any bytes are read or refused; what was written is read back; one changed byte is noticed.
pub fn session_file(bytes: &[u8]) {
    let secret = TableSecret::derive(&[7; 16]);
    drop(read_tables(bytes, &secret));
    let entries: Vec<Entry> =
        bytes.chunks_exact(Entry::BYTES).filter_map(|chunk| Entry::from_bytes(chunk.first_chunk()?)).collect();
    let mut file = Vec::new();
    let mut writer = TableWriter::begin(&secret, &mut file);
    let pool = PoolName::new("shop").expect("the name is one");
    writer.write(&pool, &entries, &mut file);
    writer.finish(&mut file);
    let read = read_tables(&file, &secret).expect("what was written is read");
    let back: Vec<Entry> = read.iter().flat_map(|(_, piece)| piece.entries()).collect();
    assert_eq!(back, entries);
    let at = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % file.len();
    if let Some(byte) = file.get_mut(at) {
        *byte ^= 0x10;
    }
    assert!(read_tables(&file, &secret).is_err(), "changed at {at}, and read");
}
