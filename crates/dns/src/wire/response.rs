//! Responses written: sections, OPT, and what to leave out where room ends.
//!
//! The invariants: a set goes out whole or not at all; a response that lacks something needed says TC and carries
//! no records, so that it is never larger than its use.

use std::borrow::Cow;

use evenkeel_model::caps;

use super::query::{Query, Question, Rejection};
use super::write::Writer;
use super::{flag, option};
use crate::kind::{Class, ExtendedError, Rcode, Type};
use crate::name::Name;
use crate::rdata::Rdata;
use crate::zone::RrSet;

/// Whether a set may be left out where room ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Without it the response is cut (TC).
    Must,
    /// It helps; without it the response is still complete.
    May,
}

/// Records of one owner and type in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set<'z> {
    /// The owner: as in the zone, or as asked where a wildcard answers.
    pub owner: Cow<'z, Name>,
    /// The type.
    pub kind: Type,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The data of each record.
    pub data: Cow<'z, [Rdata]>,
    /// Whether it may be left out.
    pub need: Need,
}

impl<'z> Set<'z> {
    /// A zone's set under an owner.
    pub fn of(owner: Cow<'z, Name>, set: &'z RrSet, need: Need) -> Self {
        Self { owner, kind: set.kind, ttl: set.ttl, data: Cow::Borrowed(&set.data), need }
    }
}

/// What a query is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'z> {
    /// The outcome.
    pub rcode: Rcode,
    /// Whether the answer is ours to give.
    pub authoritative: bool,
    /// The answer.
    pub answer: Vec<Set<'z>>,
    /// Who answers, or why nothing is there.
    pub authority: Vec<Set<'z>>,
    /// Addresses that will be asked for next.
    pub additional: Vec<Set<'z>>,
    /// Why, beside the response code.
    pub error: Option<ExtendedError>,
}

impl Response<'_> {
    /// A response without records.
    pub fn bare(rcode: Rcode, error: Option<ExtendedError>) -> Self {
        Self { rcode, authoritative: false, answer: vec![], authority: vec![], additional: vec![], error }
    }
}

/// What OPT carries besides the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptExtras {
    /// The server's identifier, where asked for and configured.
    pub nsid: Option<Vec<u8>>,
    /// The whole cookie, client's part first.
    pub cookie: Option<Vec<u8>>,
}

/// A response ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The message.
    pub bytes: Vec<u8>,
    /// Whether it says TC.
    pub truncated: bool,
}

/// Writes a response of at most `limit` bytes (512 where the client speaks no EDNS; see `answer::respond`).
pub fn encode(query: &Query, response: &Response<'_>, extras: &OptExtras, limit: usize) -> Encoded {
    let opt = query.edns.as_ref().map(|edns| opt(edns.dnssec_ok, response, extras));
    let reserve = opt.as_ref().map_or(0, Vec::len);
    let mut writer = begin(query, response, limit);
    let class = query.question.class;
    let sections = [&response.answer, &response.authority, &response.additional];
    let mut counts = [0_u16; 3];
    for (section, count) in sections.into_iter().zip(&mut counts) {
        match write_section(&mut writer, section, class, reserve) {
            Some(records) => *count = records,
            None => return encode_cut(query, response, extras),
        }
    }
    Encoded { bytes: end(writer, counts, opt.as_deref()), truncated: false }
}

/// Writes a response that says TC and carries no records.
pub fn encode_cut(query: &Query, response: &Response<'_>, extras: &OptExtras) -> Encoded {
    let opt = query.edns.as_ref().map(|edns| opt(edns.dnssec_ok, response, extras));
    let mut writer = begin(query, response, 0);
    let flags = flags(query, response) | flag::TC;
    writer.set_u16(2, flags);
    Encoded { bytes: end(writer, [0; 3], opt.as_deref()), truncated: true }
}

fn flags(query: &Query, response: &Response<'_>) -> u16 {
    let mut flags = flag::QR | (response.rcode.code() & 0x0f);
    flags |= if response.authoritative { flag::AA } else { 0 };
    flags |= if query.recursion_desired { flag::RD } else { 0 };
    flags | if query.checking_disabled { flag::CD } else { 0 }
}

/// The header, its counts still empty, and the question.
fn begin(query: &Query, response: &Response<'_>, limit: usize) -> Writer {
    let is_transfer = matches!(query.question.kind, Type::AXFR | Type::IXFR);
    let mut writer = if is_transfer { Writer::keeping_case(limit) } else { Writer::new(limit) };
    for value in [query.id, flags(query, response), 1, 0, 0, 0] {
        writer.u16(value);
    }
    write_question(&mut writer, &query.question);
    writer
}

fn write_question(writer: &mut Writer, question: &Question) {
    writer.name(question.name.as_wire());
    writer.u16(question.kind.0);
    writer.u16(question.class.0);
}

/// The counts filled in and OPT at the end.
fn end(mut writer: Writer, counts: [u16; 3], opt: Option<&[u8]>) -> Vec<u8> {
    for (count, at) in counts.into_iter().zip([6, 8, 10]) {
        let with_opt = if at == 10 { count.saturating_add(u16::from(opt.is_some())) } else { count };
        writer.set_u16(at, with_opt);
    }
    writer.put(opt.unwrap_or_default());
    writer.into_bytes()
}

/// The number of records written; `None` where a needed set did not fit.
fn write_section(writer: &mut Writer, sets: &[Set<'_>], class: Class, reserve: usize) -> Option<u16> {
    // CH answers keep their class; everything else is IN, also where ANY was asked.
    let class = if class == Class::CH { Class::CH } else { Class::IN };
    let mut count = 0_u16;
    for set in sets {
        let mark = writer.mark();
        for data in set.data.iter() {
            writer.record(set.owner.as_wire(), set.kind, class, set.ttl, data);
            if !writer.fits(reserve) {
                break;
            }
        }
        if writer.fits(reserve) {
            count = count.checked_add(u16::try_from(set.data.len()).ok()?)?;
        } else if set.need == Need::Must {
            return None;
        } else {
            writer.back_to(mark);
        }
    }
    Some(count)
}

/// Most bytes of one option that we send: so the longest question and every option fit 512 bytes together.
const OPTION_BYTES: usize = 128;

/// The OPT record (RFC 6891, 6.1.2). Option lengths are small by construction; a longer one is left out.
fn opt(dnssec_ok: bool, response: &Response<'_>, extras: &OptExtras) -> Vec<u8> {
    let mut options = Vec::new();
    let mut push = |code: u16, value: &[u8]| {
        if let Ok(length) = u16::try_from(value.len())
            && value.len() <= OPTION_BYTES
        {
            options.extend_from_slice(&code.to_be_bytes());
            options.extend_from_slice(&length.to_be_bytes());
            options.extend_from_slice(value);
        }
    };
    if let Some(nsid) = &extras.nsid {
        push(option::NSID, nsid);
    }
    if let Some(cookie) = &extras.cookie {
        push(option::COOKIE, cookie);
    }
    if let Some(error) = response.error {
        push(option::ERROR, &error.code().to_be_bytes());
    }
    let size = u16::try_from(caps::DNS_UDP_BYTES).unwrap_or(u16::MAX);
    let [_, upper] = (response.rcode.code() >> 4).to_be_bytes();
    let mut bytes = vec![0];
    bytes.extend_from_slice(&Type::OPT.0.to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&[upper, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
    bytes.extend_from_slice(&u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&options);
    bytes
}

/// Writes the response to a message that is no query of ours: a header, and the question and OPT where it has them.
pub fn encode_rejection(rejection: &Rejection, extras: &OptExtras) -> Vec<u8> {
    let response = Response::bare(rejection.rcode, None);
    let opt = rejection.edns.as_ref().map(|edns| opt(edns.dnssec_ok, &response, extras));
    let mut writer = Writer::new(0);
    let flags = flag::QR | rejection.flags | (rejection.rcode.code() & 0x0f);
    for value in [rejection.id, flags, u16::from(rejection.question.is_some()), 0, 0, 0] {
        writer.u16(value);
    }
    if let Some(question) = &rejection.question {
        write_question(&mut writer, question);
    }
    end(writer, [0; 3], opt.as_deref())
}
