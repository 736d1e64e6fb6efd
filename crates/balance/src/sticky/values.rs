//! Values that name servers in the open: what a server is known as, its position, its address, digests of it.
//!
//! The invariant: what is written for a server is found again as that server, unless another one is known by the same.

use std::collections::HashMap;
use std::net::SocketAddr;

use evenkeel_model::config::{CookieValue, DigestOf};

use super::{By, digest};
use crate::ServerIndex;

/// What names a server.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What it is known as, never empty: the first is written.
    pub names: &'a [String],
    /// Its address as the configuration has it.
    pub written: &'a str,
    /// Where it is at present.
    pub addrs: &'a [SocketAddr],
}

/// The values of a pool's servers, both ways.
#[derive(Debug, Clone, Default)]
pub struct Values {
    written: Vec<Vec<u8>>,
    found: HashMap<Vec<u8>, (By, Vec<ServerIndex>)>,
}

impl Values {
    /// The values of the servers in the pool's order: `write` is the form that is written, `read` are those that are
    /// understood beside it. A token names no server in the open and counts as none.
    pub fn new(write: CookieValue, read: &[CookieValue], (of, key): (DigestOf, &[u8]), servers: &[Known<'_>]) -> Self {
        let mut values = Self::default();
        for (index, server) in (0..=u16::MAX).map(ServerIndex).zip(servers) {
            let mut own = forms(write, of, key, index, server);
            values.written.push(own.first().cloned().unwrap_or_default());
            own.drain(..).for_each(|value| values.add(value, write, index));
        }
        for form in read {
            for (index, server) in (0..=u16::MAX).map(ServerIndex).zip(servers) {
                forms(*form, of, key, index, server).into_iter().for_each(|value| values.add(value, *form, index));
            }
        }
        values
    }

    /// What is written for a server; `None` where nothing can be.
    pub fn written(&self, index: ServerIndex) -> Option<&[u8]> {
        self.written.get(index.at()).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    /// The servers that a value names, in the pool's order, and what kind of value it is.
    pub fn find(&self, value: &[u8]) -> Option<(By, &[ServerIndex])> {
        self.found.get(value).map(|(by, servers)| (*by, servers.as_slice()))
    }

    fn add(&mut self, value: Vec<u8>, form: CookieValue, index: ServerIndex) {
        let (_, servers) = self.found.entry(value).or_insert_with(|| (by(form), Vec::new()));
        if !servers.contains(&index) {
            servers.push(index);
        }
    }
}

fn by(form: CookieValue) -> By {
    match form {
        CookieValue::Token => By::Token,
        CookieValue::Name => By::Name,
        CookieValue::Dated => By::Dated,
        CookieValue::Index => By::Index,
        CookieValue::Address => By::Address,
        CookieValue::Digest(_) => By::Digest,
    }
}

/// What a server is called in one form; the first is written.
fn forms(form: CookieValue, of: DigestOf, key: &[u8], index: ServerIndex, server: &Known<'_>) -> Vec<Vec<u8>> {
    match form {
        CookieValue::Token => Vec::new(),
        CookieValue::Name | CookieValue::Dated => server.names.iter().map(|name| name.clone().into_bytes()).collect(),
        CookieValue::Index => vec![index.at().to_string().into_bytes()],
        CookieValue::Address => server.addrs.iter().map(|addr| addr.to_string().into_bytes()).collect(),
        CookieValue::Digest(kind) => {
            let inputs: Vec<Vec<u8>> = match of {
                DigestOf::SocketAddress => server.addrs.iter().map(|addr| digest::socket_address(*addr)).collect(),
                DigestOf::Address => server.addrs.iter().map(|addr| addr.to_string().into_bytes()).collect(),
                DigestOf::Written => vec![server.written.as_bytes().to_vec()],
            };
            let hex = |input: Vec<u8>| {
                let mut out = Vec::with_capacity(40);
                digest::write(kind, key, &input, &mut out);
                out
            };
            inputs.into_iter().map(hex).collect()
        }
    }
}
