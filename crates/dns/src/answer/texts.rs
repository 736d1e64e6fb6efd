//! Texts that are answered for a while without being in any zone: what an authority looks for that is to believe that a
//! name is ours (RFC 8555 section 8.4).
//!
//! The invariant: a text is answered only under a name that lies in a zone of ours, and hides no other type of it.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Zones;
use crate::kind::{Class, Rcode, Type};
use crate::name::{Name, NameError};
use crate::rdata::Rdata;
use crate::wire::{Need, Question, Response, Set};

/// The label below which authorities look.
const LABEL: &[u8] = b"_acme-challenge";

/// Bytes of a message's header, behind which the question's name begins.
const HEADER: usize = 12;

/// Texts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// By the name's wire form in lower case.
    by_name: HashMap<Box<[u8]>, Vec<Rdata>>,
}

impl Texts {
    /// Adds a text that is looked for to see whether a host is ours.
    ///
    /// # Errors
    /// Where the host is no name of DNS, or too long for another label.
    pub fn add(&mut self, host: &str, text: &str) -> Result<(), NameError> {
        let name = host.parse::<Name>()?.prepend(LABEL)?;
        let data = Rdata::txt(text.as_bytes());
        let all = self.by_name.entry(name.to_lower().as_wire().into()).or_default();
        if !all.contains(&data) {
            all.push(data);
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether a message may ask for one of these; a look at a few bytes, and only while there are any.
    pub fn may_concern(&self, message: &[u8]) -> bool {
        !self.by_name.is_empty()
            && message.get(HEADER).is_some_and(|length| usize::from(*length) == LABEL.len())
            && message.get(HEADER + 1..=HEADER + LABEL.len()).is_some_and(|label| label.eq_ignore_ascii_case(LABEL))
    }

    /// What is answered, where there is a text: itself to who asks for texts; to who asks for another type, at least
    /// that there is such a name.
    pub(super) fn amend<'z>(&self, question: &Question, zones: &Zones, mut response: Response<'z>) -> Response<'z> {
        if self.by_name.is_empty() || question.class != Class::IN {
            return response;
        }
        let texts = self.by_name.get(question.name.to_lower().as_wire());
        let Some(texts) = texts.filter(|_| zones.find(&question.name, question.kind).is_some()) else {
            return response;
        };
        if question.kind != Type::TXT {
            if response.rcode == Rcode::NxDomain {
                response.rcode = Rcode::NoError;
            }
            return response;
        }
        let set = Set {
            owner: Cow::Owned(question.name.clone()),
            kind: Type::TXT,
            ttl: 0,
            data: Cow::Owned(texts.clone()),
            need: Need::Must,
        };
        Response { authoritative: true, answer: vec![set], ..Response::bare(Rcode::NoError, None) }
    }
}
