//! HTTP messages without I/O: reading and writing HTTP/1 heads and bodies, and the rules that depend on nothing else.
//!
//! A message is bytes in a buffer of the caller's plus a table of where things lie in it ([`RequestHead`],
//! [`ResponseHead`], [`Fields`]); nothing is copied into maps or strings, and nothing is allocated for a message once the
//! tables have grown to their use. Reading is strict: what two programs are known to read in two ways is refused, so that
//! whatever stands behind us sees exactly the requests that we saw.
//!
//! The tour, in the order of a request: [`request`] and what it leans on (`head`, [`field`], [`known`], [`authority`],
//! [`uri`]) · [`matching`] · [`forwarded`], [`cookie`] · [`mod@write`] · [`body`] and [`encode`] · [`response`] · [`learn`] · [`retry`] · [`http2`], [`grpc`] ·
//! [`status`], [`date`] for answers of our own · [`preface`] for what comes before all of that.
//!
//! Not here: connections, time, files, luck. The invariant: no input makes these functions panic, and no verdict depends
//! on how a message was cut into reads.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod authority;
pub mod body;
pub mod cookie;
pub mod date;
pub mod encode;
pub mod error;
pub mod field;
pub mod fields;
pub mod forwarded;
pub mod grpc;
pub mod http2;
pub mod known;
pub mod learn;
pub mod matching;
pub mod message;
pub mod preface;
pub mod request;
pub mod response;
pub mod retry;
pub mod status;
pub mod uri;
pub mod write;

#[cfg(test)]
mod cases;
mod chunk;
mod head;

pub use body::{BodyDecoder, Keep, Piece, Run, RunState};
pub use date::{DATE_BYTES, format_http_date};
pub use encode::{CHUNK_HEAD_MAX, CRLF, chunk_head, write_chunk_head, write_last_chunk};
pub use error::{BodyError, RequestError, ResponseError, StreamError};
pub use fields::{Field, Fields};
pub use known::Known;
pub use message::{Framing, Limits, Method, Version};
pub use request::{RequestFacts, RequestHead};
pub use response::ResponseHead;
pub use write::{
    ConnectionField, Edit, EditAction, OwnResponse, RequestOut, ResponseOut, hops_left, write_own_response,
    write_request, write_response,
};
