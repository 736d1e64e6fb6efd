//! A live server's sets brought in step by dynamic updates.
//!
//! What it sends and how it reads is in `evenkeel_dns::update` and `tsig`. The invariant: nothing is believed that is
//! not signed with our key, and no update leaves a set empty.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::checker::{self, BalancedSet, Target};
use evenkeel_dns::tsig::{self, Key};
use evenkeel_dns::update::{self, LiveSet, SetUpdate, Verdict};
use evenkeel_dns::wire::{Message, Question, write_query};
use evenkeel_dns::{Class, Name};
use evenkeel_model::config::Update;
use evenkeel_model::{State, caps};
use evenkeel_net::{clock, rng, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::report::Outcome;
use super::round::Mode;
use super::sheet::Sheet;
use crate::origin::words;
use crate::secrets;

/// How long a server may take to answer one message: it writes its journal first.
const PATIENCE: Duration = Duration::from_secs(5);

/// The TTL of new records where neither the server nor the file has one: a resolver forgets them as soon as a check
/// decides.
const TTL: u32 = 60;

/// What became of the sets of one file.
pub(super) struct Live {
    pub(super) outcome: Outcome,
    pub(super) problems: Vec<String>,
    /// Records added and removed, as `+www A 192.0.2.1`.
    pub(super) lines: Vec<String>,
}

/// Brings the server's sets in step with the verdicts.
///
/// # Errors
/// Where the key cannot be read, the zone is not known, or a set can be neither read nor changed.
pub(super) async fn settle(
    update: &Update,
    sheet: &Sheet,
    verdicts: &HashMap<Target, State>,
    mode: Mode,
) -> Result<Live, String> {
    let zone = sheet.zone.clone().ok_or("the zone cannot be told from the file; write `zone=NAME` after `update`")?;
    let key = secrets::tsig_key(&update.key).map_err(|cause| format!("the key cannot be read: {cause}"))?;
    let server = Server { at: update.server, key, zone };
    let mut live = Live { outcome: Outcome::Unchanged, problems: Vec::new(), lines: Vec::new() };
    for set in &sheet.survey.sets {
        if !set.owner.is_within(&server.zone) {
            live.problems.push(format!("`{}` is not in the zone `{}`", set.owner, server.zone));
            live.outcome = Outcome::Failed;
            continue;
        }
        match server.settle(set, verdicts, mode, &mut live.lines).await {
            Ok(true) if live.outcome == Outcome::Unchanged => {
                live.outcome = if mode == Mode::Look { Outcome::WouldChange } else { Outcome::Changed };
            }
            Ok(_) => {}
            Err(cause) => {
                live.problems.push(format!("{} {} at {}: {cause}", set.owner, set.kind, server.at));
                live.outcome = Outcome::Failed;
            }
        }
    }
    Ok(live)
}

/// A live server and how to speak to it.
struct Server {
    at: SocketAddr,
    key: Key,
    zone: Name,
}

impl Server {
    /// Brings one set in step. Says whether it changed, or would.
    async fn settle(
        &self,
        set: &BalancedSet,
        verdicts: &HashMap<Target, State>,
        mode: Mode,
        lines: &mut Vec<String>,
    ) -> Result<bool, String> {
        let mut is_made_up = false;
        for _ in 0..caps::ZONEFILE_REPLANS {
            let now = if is_made_up { LiveSet::default() } else { self.read(set).await? };
            let update = plan(set, now, verdicts);
            if update.is_empty() {
                return Ok(false);
            }
            if !update.leaves_some() {
                return Err("the update would leave the set empty; it is not sent".to_owned());
            }
            if mode == Mode::Fix {
                match self.send(&update).await? {
                    Verdict::Done => {}
                    // What was read may stand nowhere: a wildcard answers for names that are not there (RFC 4592), and no
                    // set is ours to change then. Where that is not so, this is refused as well, and it is read anew.
                    Verdict::Outdated => {
                        is_made_up = !is_made_up && !update.expected.addresses.is_empty();
                        continue;
                    }
                    Verdict::Refused(rcode) => return Err(update::refusal_text(rcode)),
                }
            }
            let shown = |sign: char, address: &IpAddr| format!("{sign}{} {} {address}", set.owner, set.kind);
            lines.extend(update.add.iter().map(|address| shown('+', address)));
            lines.extend(update.remove.iter().map(|address| shown('-', address)));
            return Ok(true);
        }
        Err("somebody else changes the set all the time; the next round looks again".to_owned())
    }

    async fn read(&self, set: &BalancedSet) -> Result<LiveSet, String> {
        let question = Question { name: set.owner.clone(), kind: set.kind, class: Class::IN };
        let answer = self.exchange(write_query(id(), &question, false, None)).await?;
        update::read_set(&answer, &set.owner, set.kind)
    }

    async fn send(&self, update: &SetUpdate) -> Result<Verdict, String> {
        let answer = self.exchange(update.write(id(), &self.zone)).await?;
        Ok(update::verdict(&answer))
    }

    /// Signs a message, sends it, and gives the answer that is signed too.
    async fn exchange(&self, mut message: Vec<u8>) -> Result<Message, String> {
        let mac = tsig::sign_request(&mut message, &self.key, clock::unix_now());
        let answer = tokio::time::timeout(PATIENCE, talk(self.at, &message))
            .await
            .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))??;
        let read = Message::read(&answer).ok_or("the answer is malformed")?;
        if answer.first_chunk::<2>() != message.first_chunk::<2>() {
            return Err("the answer is to another question".to_owned());
        }
        match tsig::verify_response(&answer, &self.key, &mac, clock::unix_now()) {
            Ok(()) => Ok(read),
            // Some servers do not sign a refusal. It is told as what it is, and nothing is done by it.
            Err(tsig::Fault::Unsigned) if read.rcode() != 0 => Err(update::refusal_text(read.rcode())),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

/// What is to change: members of the file alone are added or removed.
fn plan(set: &BalancedSet, now: LiveSet, verdicts: &HashMap<Target, State>) -> SetUpdate {
    let mut set = set.clone();
    for member in &mut set.members {
        member.is_parked = !now.addresses.contains(&member.target.address);
    }
    let settled = checker::settle(&set, verdicts);
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (member, is_parked) in set.members.iter().zip(settled.parked) {
        match (member.is_parked, is_parked) {
            (true, false) => add.push(member.target.address),
            (false, true) => remove.push(member.target.address),
            _ => {}
        }
    }
    let ttl = set.members.iter().filter_map(|member| member.ttl).min().unwrap_or(TTL);
    SetUpdate { owner: set.owner, kind: set.kind, expected: now, add, remove, ttl }
}

/// One message and its answer over TCP.
async fn talk(at: SocketAddr, message: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| words(&error);
    let mut stream = stream::connect(at, PATIENCE).await.map_err(|error| failed(error.source))?;
    let length = u16::try_from(message.len()).map_err(|_| "the message is too long".to_owned())?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await.map_err(failed)?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.map_err(failed)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    Ok(answer)
}

/// A message's number, that nobody can guess.
fn id() -> u16 {
    let [high, low, ..] = rng::seed();
    u16::from_be_bytes([high, low])
}
