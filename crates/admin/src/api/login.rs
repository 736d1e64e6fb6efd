//! Signing in at the admin listener, by a cookie that scripts of pages cannot read.

use evenkeel_model::config::Role;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Method, Response, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, FORM, Gate, Gives, Needs, Operation, ROW, Reply, SIGN_IN, Shape, json, parameters};
use crate::access;
use crate::payload::{self, Payload};
use crate::problem::{Code, Problem};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        method: Method::POST,
        path: "/api/v1/login",
        id: "signIn",
        noun: "login",
        doc: "Signs in: answers with a cookie. Takes JSON, or a form, which is led on to `to`.",
        needs: Needs::Nobody,
        takes: Some(Shape::of::<SignIn>()),
        takes_forms: true,
        gives: Gives::Json(Shape::of::<Me>()),
        problems: &[Code::A201, Code::A203, Code::A205],
        run: |call| Box::pin(sign_in(call)),
        ..ROW
    },
    Operation {
        method: Method::POST,
        path: "/api/v1/logout",
        id: "signOut",
        noun: "login",
        doc: "Signs out: the cookie is void from now on.",
        needs: Needs::Nobody,
        takes: Some(Shape::of::<SignOut>()),
        takes_forms: true,
        gives: Gives::Json(Shape::of::<SignOut>()),
        problems: &[Code::A203],
        run: |call| Box::pin(sign_out(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/me",
        id: "getMe",
        noun: "login",
        doc: "Who asks, and what this user may do.",
        gives: Gives::Json(Shape::of::<Me>()),
        run: |call| {
            Box::pin(async move { Ok(json(&Me { user: call.caller.name.clone(), role: word(call.caller.role) })) })
        },
        ..ROW
    },
];

/// Who wants to sign in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The user's name.
    user: String,
    /// The password, or the token.
    password: String,
}

/// An empty object.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct SignOut {}

/// Who asks.
#[derive(Serialize, JsonSchema)]
struct Me {
    /// The user's name.
    user: String,
    /// `read`, `operate` or `admin`.
    role: String,
}

async fn sign_in(call: Call<'_>) -> Reply {
    let Gate { guard, access, from } = gate(&call)?;
    let form = form(&call)?;
    let (wanted, to) = match &form {
        Some(form) => {
            let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let wanted =
                SignIn { user: field("user").unwrap_or_default(), password: field("password").unwrap_or_default() };
            (wanted, Some(field("to").unwrap_or_default()))
        }
        None => (call.body::<SignIn>()?, None),
    };
    let signed = guard.sign_in(&wanted.user, &wanted.password, access, from).await;
    match (signed, to) {
        (Ok((token, role)), None) => {
            Ok(with_cookie(json(&Me { user: wanted.user, role: word(role) }), &access::cookie(&token)))
        }
        (Ok((token, _)), Some(to)) => Ok(with_cookie(led_to(own_path(&to)), &access::cookie(&token))),
        (Err(problem), None) => Err(problem),
        (Err(problem), Some(to)) => Ok(led_to(&format!("{SIGN_IN}?failed={}&to={}", problem.code, own_path(&to)))),
    }
}

async fn sign_out(call: Call<'_>) -> Reply {
    let Gate { guard, .. } = gate(&call)?;
    guard.sign_out(call.head);
    let answer = if form(&call)?.is_some() { led_to(SIGN_IN) } else { json(&SignOut {}) };
    Ok(with_cookie(answer, &access::cookie("")))
}

fn gate<'a>(call: &Call<'a>) -> Result<Gate<'a>, Problem> {
    call.gate
        .ok_or_else(|| Problem::new(Code::A103, "nobody signs in at the control socket: its file's mode says who may"))
}

/// The form's fields, where the body is one.
fn form(call: &Call<'_>) -> Result<Option<Vec<(String, String)>>, Problem> {
    let kind = call.head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM) {
        return Ok(None);
    }
    let wrong = || Problem::new(Code::A103, "the form is not percent-encoded text");
    let text = str::from_utf8(&call.body).map_err(|_| wrong())?;
    parameters(text).map(Some).ok_or_else(wrong)
}

fn led_to(path: &str) -> Response<Payload> {
    let mut answer = payload::typed(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, to);
    answer
}

/// A path of ours: nobody is led to another site by a link to the sign-in page.
fn own_path(to: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.?=;".contains(&byte);
    if to.starts_with('/') && !to.starts_with("//") && to.bytes().all(is_plain) { to } else { "/" }
}

fn with_cookie(mut answer: Response<Payload>, cookie: &str) -> Response<Payload> {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn word(role: Role) -> String {
    role.as_str().to_owned()
}
