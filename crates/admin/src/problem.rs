//! What the API answers where it does not do what was asked: one catalogue of codes, one form.
//!
//! The invariant: a code keeps its meaning for ever, and the command line, the API and the manual show the same one.

use std::fmt;

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::ReloadRefused;

/// An error of the API, as in RFC 9457 (`application/problem+json`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The stable code; `evenkeel explain CODE` says more.
    #[serde(default)]
    pub code: String,
    /// The kind of problem in a few words, the same each time.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong this time, and the next step.
    pub detail: String,
    /// Why a reload was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<ReloadRefused>,
}

impl Problem {
    /// A problem of that kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail: detail.into(),
            refused: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => write!(f, "{}: {}", self.title, self.detail),
            code => write!(f, "{}: {} ({code})", self.title, self.detail),
        }
    }
}

macro_rules! codes {
    ($($code:ident $status:ident $title:literal $more:literal)*) => {
        /// The kinds of problems. A catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// The code's text: `A101`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code),)*
                }
            }

            /// The kind of problem in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)*
                }
            }

            /// What it means and what to do, in a paragraph.
            pub fn more(self) -> &'static str {
                match self {
                    $(Self::$code => $more,)*
                }
            }

            /// The code of that text, in any case.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
            }

            /// The status that goes with it.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    A101 NOT_FOUND "no such path"
        "The API has no such path. `GET /api/v1/openapi.json` lists every path, its method and what it takes."
    A102 METHOD_NOT_ALLOWED "wrong method"
        "The path is there and takes another method; the `Allow` field of the answer says which. Nothing is ever changed by GET."
    A103 BAD_REQUEST "the request cannot be read"
        "A value in the path, the query or the body is not what the operation takes. The detail names it and says what is allowed."
    A104 UNSUPPORTED_MEDIA_TYPE "the body is of another type"
        "Bodies are JSON and say so: `Content-Type: application/json`. A form of a foreign page cannot send that type, which is \
         one of the guards against such pages."
    A105 PAYLOAD_TOO_LARGE "the body is too large"
        "No operation needs a body of more than a few lines, so that what is longer is not read."
    A106 REQUEST_TIMEOUT "the body did not come in time"
        "The head of the request announced a body, and it was not sent within ten seconds."
    A201 UNAUTHORIZED "who are you"
        "The admin listener has users, and the request names none or not rightly: use Basic or Bearer, or sign in at \
         `POST /api/v1/login`. A wrong name and a wrong password are answered alike. `evenkeel passwd` makes the hash that the \
         configuration wants."
    A202 FORBIDDEN "not allowed"
        "The user's role does not reach so far: `read` looks, `operate` orders servers about, `admin` does everything. Without \
         users, the admin listener lets look and change nothing; the control socket (the `evenkeel` command) can."
    A203 FORBIDDEN "not from a foreign page"
        "The request was made by a page of another origin, or by a browser that does not say which. Changes are taken from the \
         dashboard itself, from scripts and from the `evenkeel` command."
    A204 MISDIRECTED_REQUEST "not under this name"
        "The `Host` is neither an address, nor `localhost`, nor one of the names that `admin` lists with `host`. It keeps foreign \
         pages from reaching the listener by a name of theirs that resolves to this machine."
    A205 TOO_MANY_REQUESTS "too many attempts"
        "From this address came too many wrong passwords in a short time. `Retry-After` says when the next one is looked at; \
         other addresses are not held up."
    A301 NOT_FOUND "no such server"
        "No pool has a server of that name. `evenkeel status` lists them as POOL/SERVER."
    A302 NOT_FOUND "no such pool"
        "The running configuration has no pool of that name. `evenkeel status` lists them."
    A303 NOT_FOUND "no such listener"
        "The running configuration has no listener of that name: listeners are named by their address as written."
    A304 PRECONDITION_FAILED "somebody was faster"
        "What is to be changed has changed since it was read: its `ETag` is no longer the one of `If-Match`. Read it again, and \
         decide anew."
    A305 UNPROCESSABLE_ENTITY "the order contradicts itself"
        "An order has one state at most, and a duration only where there is something to end."
    A306 NOT_FOUND "no cluster"
        "The configuration of this node has no `cluster` block: it stands alone."
    A307 NOT_FOUND "no such group"
        "The cluster has no group of that name. `evenkeel cluster status` lists them."
    A308 CONFLICT "the group cannot move so"
        "The node cannot follow the order at this moment, and nothing has changed: the detail says why. `evenkeel cluster status` \
         shows how things are, `evenkeel cluster takeover --dry-run` what a takeover would do."
    A401 UNPROCESSABLE_ENTITY "the configuration is refused"
        "The file has errors, or names something that cannot be had. What ran before runs on, untouched; `evenkeel check` shows the \
         same errors."
    A402 NOT_FOUND "no such configuration"
        "The history does not hold that generation. `evenkeel config history` lists what it holds."
    A403 CONFLICT "the node is stopping"
        "A node that stops takes no orders and no configuration any more."
    A501 SERVICE_UNAVAILABLE "not seen by all"
        "The order was given, and a worker has not taken it up in time. It will; only the promise that all traffic sees it cannot be \
         made yet. Ask `evenkeel status`."
    A502 INTERNAL_SERVER_ERROR "a fault of ours"
        "The answer could not be made. Please report it, with the log's lines of that moment."
    A503 SERVICE_UNAVAILABLE "too many watch"
        "So many streams of events are open as are allowed. Each holds a connection for as long as it is open; `/api/v1/events/recent` \
         answers at once."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_says_what_to_do() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(codes.is_sorted());
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(code.more().len() > 60 && code.more().ends_with('.'), "{code:?}");
        }
    }
}
