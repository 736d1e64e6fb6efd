//! One request to one answer: who asks, whether it may be asked, what it is, and the line that says who did it.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::Role;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::HEAD_TIMEOUT;
use crate::access::{self, Access, Guard};
use crate::api::{self, Call, Gate, Needs, Operation, PathValues, Stray};
use crate::control::Audit;
use crate::payload::{self, Payload};
use crate::problem::{Code, Problem};
use crate::{Caller, Control, Via};

/// Most bytes of a body that the line of audit repeats.
const AUDITED_BYTES: usize = 200;

/// The pause after which somebody who tried too often may try again, where the problem does not say.
const RETRY: Duration = Duration::from_secs(6);

/// A request over the control socket, whose file's mode has let it in.
pub(super) async fn on_socket(request: Request<Incoming>, control: &dyn Control, caller: &Caller) -> Response<Payload> {
    if request.headers().contains_key(ORIGIN) {
        // No browser has business here. Should one get through some proxy to the socket, a page must not command us.
        let detail = "requests made by web pages are refused here; use the `evenkeel` command";
        return payload::problem(&Problem::new(Code::A203, detail));
    }
    let (head, body) = request.into_parts();
    let found = match find(&head) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    run(found, &head, body, Asked { control, caller, gate: None }).await
}

/// A request over the admin listener.
pub(super) async fn on_listener(
    request: Request<Incoming>,
    control: &dyn Control,
    (guard, access): (&Guard, &Access),
    from: IpAddr,
) -> Response<Payload> {
    let (head, body) = request.into_parts();
    let mut answer = match let_in(&head, (guard, access), from).await {
        Ok((found, caller)) => {
            let gate = Gate { guard, access, from };
            run(found, &head, body, Asked { control, caller: &caller, gate: Some(gate) }).await
        }
        Err(answer) => *answer,
    };
    seal(answer.headers_mut());
    answer
}

/// What is asked, with the values of its path.
type Found = (&'static Operation, PathValues);

/// Who asks, of whom, and by which gate.
struct Asked<'a> {
    control: &'a dyn Control,
    caller: &'a Caller,
    gate: Option<Gate<'a>>,
}

/// Everything that is looked at before the body is.
async fn let_in(
    head: &Parts,
    (guard, access): (&Guard, &Access),
    from: IpAddr,
) -> Result<(Found, Caller), Box<Response<Payload>>> {
    let refuse = |problem: Problem| Box::new(refusal(head, &problem));
    access::check_host(&head.headers, access.hosts()).map_err(refuse)?;
    let found = find(head)?;
    let (operation, _) = &found;
    let changes = operation.method != Method::GET;
    if changes {
        access::check_page(&head.headers, access::has_login(&head.headers)).map_err(refuse)?;
    }
    let nobody = || Caller { name: "nobody".to_owned(), role: Role::Read, via: Via::Listener(from) };
    let Needs::Role(role) = operation.needs else {
        return Ok((found, nobody()));
    };
    let caller = guard.caller(&head.headers, access, from).await.map_err(refuse)?;
    let Some(caller) = caller else {
        return Err(refuse(Problem::new(Code::A201, "the request names no user")));
    };
    if caller.role < role {
        let detail = match access.has_users() {
            true => format!("{} has the role `{}`, and this needs `{role}`", caller.name, caller.role),
            false => "the admin listener has no users, so that it can be looked at and nothing more".to_owned(),
        };
        return Err(refuse(Problem::new(Code::A202, detail)));
    }
    if changes && access.is_read_only() {
        return Err(refuse(Problem::new(Code::A202, "the admin listener is `readonly`")));
    }
    Ok((found, caller))
}

fn find(head: &Parts) -> Result<Found, Box<Response<Payload>>> {
    api::find(&head.method, head.uri.path()).map_err(|stray| {
        Box::new(match stray {
            Stray::Misused(allowed) => payload::misused(&head.method, &allowed),
            Stray::Unknown => {
                let path: String = head.uri.path().chars().take(128).collect();
                let detail = format!("`{path}` is not known; GET /api/v1/openapi.json lists what is");
                payload::problem(&Problem::new(Code::A101, detail))
            }
        })
    })
}

/// Reads the body, does it, and has it written down.
async fn run((operation, path): Found, head: &Parts, body: Incoming, asked: Asked<'_>) -> Response<Payload> {
    let body = match whole(operation, &head.headers, body).await {
        Ok(body) => body,
        Err(problem) => return refusal(head, &problem),
    };
    let Some(query) = api::parameters(head.uri.query().unwrap_or_default()) else {
        return refusal(head, &Problem::new(Code::A103, "the query is not percent-encoded text"));
    };
    let Asked { control, caller, gate } = asked;
    let call = Call { control, caller, gate, head: &head.headers, path, query, body: body.clone() };
    let answer = (operation.run)(call).await.unwrap_or_else(|problem| refusal(head, &problem));
    if operation.method != Method::GET && !is_noise(operation, answer.status()) {
        let what = format!("{} {}{}", head.method, head.uri.path(), shown(operation, &body));
        control.audit(&Audit { who: caller.to_string(), what, status: answer.status().as_u16() });
    }
    answer
}

/// What strangers could fill the log and the kept events with, as fast as they can send.
fn is_noise(operation: &Operation, status: StatusCode) -> bool {
    let says_nothing = matches!(status, StatusCode::BAD_REQUEST | StatusCode::TOO_MANY_REQUESTS);
    operation.needs == Needs::Nobody && (says_nothing || status == StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// The body for the line of audit: on one line, cut, and not at all where it holds a password.
fn shown(operation: &Operation, body: &[u8]) -> String {
    if body.is_empty() || operation.noun == "login" {
        return String::new();
    }
    let text = String::from_utf8_lossy(body.get(..AUDITED_BYTES).unwrap_or(body));
    format!(" {}", text.escape_debug())
}

/// The body, where the operation takes one. Others' bodies are not looked at.
async fn whole(operation: &Operation, head: &HeaderMap, mut body: Incoming) -> Result<Bytes, Problem> {
    if operation.takes.is_none() {
        return Ok(Bytes::new());
    }
    let content_type = head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    // A form can be sent without script, and so by a foreign page, too: its `Origin` was looked at.
    let is_form = operation.takes_forms && kind.eq_ignore_ascii_case(api::FORM);
    if !is_form && !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::A104, format!("it says `{kind}`; send `application/json`")));
    }
    let read = async {
        let mut whole = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| Problem::new(Code::A103, format!("the body: {error}")))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if whole.len().saturating_add(bytes.len()) > caps::CONTROL_REQUEST_BYTES {
                return Err(Problem::new(Code::A105, format!("at most {} bytes", caps::CONTROL_REQUEST_BYTES)));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(Bytes::from(whole))
    };
    let late = |_| Problem::new(Code::A106, format!("{} s are over", HEAD_TIMEOUT.as_secs()));
    tokio::time::timeout(HEAD_TIMEOUT, read).await.map_err(late)?
}

/// A problem as this client can use it: a page's reader is led to where one signs in, a script is told how to say who it is.
fn refusal(head: &Parts, problem: &Problem) -> Response<Payload> {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_page = text(hyper::header::ACCEPT).contains("text/html") && !head.uri.path().starts_with("/api/");
    let mut answer = payload::problem(problem);
    if problem.code == Code::A201.as_str() {
        if wants_page && head.method == Method::GET {
            let to = HeaderValue::from_str(&format!("{}?to={}", api::SIGN_IN, head.uri.path()));
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert(LOCATION, to.unwrap_or(HeaderValue::from_static(api::SIGN_IN)));
        } else if text(HeaderName::from_static("sec-fetch-mode")).is_empty() {
            // A browser's script would make it ask for a password in a window of its own.
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"evenkeel\""));
        }
    }
    if problem.code == Code::A205.as_str() {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY.as_secs()));
    }
    answer
}

/// What every answer of the admin listener tells a browser. A page brings its own policy of contents.
fn seal(head: &mut HeaderMap) {
    head.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // With `no-referrer` a browser sends our own forms with `Origin: null`, too.
    head.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    head.entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}
