//! Servers, and what is ordered of them.

use std::time::Duration;

use evenkeel_model::config::{Role, Standing};
use evenkeel_model::{caps, defaults};
use hyper::header::{ETAG, HeaderValue, IF_MATCH};
use hyper::{HeaderMap, Method, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pools::pool;
use super::{Call, Gives, Needs, Operation, ROW, Reply, Shape, json};
use crate::control::{OrderRefused, OrderedWeight, ServerOrder};
use crate::payload::Payload;
use crate::problem::{Code, Problem};
use crate::report::{PoolReport, ServerReport};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/pools/{pool}/servers",
        id: "listServers",
        noun: "servers",
        doc: "The servers of a pool in written order.",
        gives: Gives::Json(Shape::of::<Vec<ServerReport>>()),
        problems: &[Code::A302],
        run: |call| Box::pin(list(call)),
        ..ROW
    },
    Operation {
        path: "/api/v1/pools/{pool}/servers/{server}",
        id: "getServer",
        noun: "servers",
        doc: "One server. Its `ETag` changes with what is configured and ordered of it.",
        gives: Gives::Json(Shape::of::<ServerReport>()),
        problems: &[Code::A301, Code::A302],
        run: |call| Box::pin(one(call)),
        ..ROW
    },
    Operation {
        method: Method::PATCH,
        path: "/api/v1/pools/{pool}/servers/{server}",
        id: "orderServer",
        noun: "servers",
        doc: "Orders drain, maintenance, ready or a weight; answers when all traffic sees it. With `If-Match` only if nobody was faster.",
        needs: Needs::Role(Role::Operate),
        takes: Some(Shape::of::<ServerWish>()),
        gives: Gives::Json(Shape::of::<ServerReport>()),
        problems: &[Code::A301, Code::A302, Code::A304, Code::A305, Code::A403, Code::A501],
        run: |call| Box::pin(order(call)),
        ..ROW
    },
];

/// What is wished of a server; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerWish {
    /// `ready` lifts what was ordered, `drain` keeps sessions and takes no new ones, `maint` takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<WishedState>,
    /// 0 to 1000, or percent of the configured weight: `"50%"`. `"100%"` lifts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<WishedWeight>,
    /// For how long: `"90s"`, `"30m"`, `"2h"`, `"1d"`. Left out, until it is lifted.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasting: Option<String>,
    /// Why, for whoever looks later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A state that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WishedState {
    /// Serve.
    Ready,
    /// Keep sessions, take no new ones.
    Drain,
    /// Take nothing.
    Maint,
}

/// A weight that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WishedWeight {
    /// This one.
    Fixed(u16),
    /// `50%`
    Percent(String),
}

async fn list(call: Call<'_>) -> Reply {
    let status = call.control.status().await;
    Ok(json(&pool(&status, call.path("pool"))?.servers))
}

async fn one(call: Call<'_>) -> Reply {
    let status = call.control.status().await;
    server(pool(&status, call.path("pool"))?, call.path("server")).map(tagged)
}

async fn order(call: Call<'_>) -> Reply {
    let order = read(&call)?;
    match call.control.servers().order(order).await {
        Ok(server) => Ok(tagged(&server)),
        Err(OrderRefused::Unknown) => {
            let status = call.control.status().await;
            server(pool(&status, call.path("pool"))?, call.path("server"))?;
            Err(Problem::new(Code::A301, "it has just gone"))
        }
        Err(OrderRefused::Stale) => Err(Problem::new(
            Code::A304,
            "what is ordered or configured of the server is no longer what `If-Match` says",
        )),
        Err(OrderRefused::Stopping) => Err(Problem::new(Code::A403, "the node takes no orders any more")),
        Err(OrderRefused::Silent(worker)) => {
            Err(Problem::new(Code::A501, format!("worker {worker} has not taken the order up yet")))
        }
    }
}

fn read(call: &Call<'_>) -> Result<ServerOrder, Problem> {
    let wish: ServerWish = call.body()?;
    let odd = |detail: String| Problem::new(Code::A103, detail);
    if wish.state.is_none() && wish.weight.is_none() {
        return Err(odd("the order is empty: give `state`, `weight` or both".to_owned()));
    }
    if let Some(why) = wish.why.as_deref().filter(|why| why.chars().count() > caps::INTENT_WHY_CHARS) {
        let (has, most) = (why.chars().count(), caps::INTENT_WHY_CHARS);
        return Err(odd(format!("`why` has {has} characters, and at most {most} are kept")));
    }
    let lasting = wish.lasting.as_deref().map(lasting).transpose()?;
    if lasting.is_some() && wish.state == Some(WishedState::Ready) && wish.weight.is_none() {
        return Err(Problem::new(Code::A305, "`ready` lifts what was ordered: `for` has nothing to end"));
    }
    Ok(ServerOrder {
        pool: call.path("pool").to_owned(),
        server: call.path("server").to_owned(),
        standing: wish.state.map(|state| match state {
            WishedState::Ready => Standing::Ready,
            WishedState::Drain => Standing::Drain,
            WishedState::Maint => Standing::Maintenance,
        }),
        weight: wish.weight.as_ref().map(weight).transpose()?,
        lasting,
        why: wish.why,
        by: call.caller.name.clone(),
        expected: expected(call.head)?,
    })
}

fn weight(wished: &WishedWeight) -> Result<OrderedWeight, Problem> {
    let most = defaults::WEIGHT_MAX;
    let odd = |given: &str| {
        Problem::new(
            Code::A103,
            format!("`{given}` is no weight: 0 to {most}, or percent of the configured one such as `50%`"),
        )
    };
    match wished {
        WishedWeight::Fixed(weight) if *weight <= most => Ok(OrderedWeight::Fixed(*weight)),
        WishedWeight::Fixed(weight) => Err(odd(&weight.to_string())),
        WishedWeight::Percent(text) => {
            let shown: String = text.chars().take(40).collect();
            if let Some(weight) = text.parse::<u16>().ok().filter(|weight| *weight <= most) {
                return Ok(OrderedWeight::Fixed(weight));
            }
            let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<u16>().ok());
            match percent {
                Some(percent) if percent <= most => Ok(OrderedWeight::Percent(percent)),
                _ => Err(odd(&shown)),
            }
        }
    }
}

/// A duration with its unit: `90s`, `30m`, `2h`, `1d`, up to a year.
pub fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|shown: char| !shown.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let total = digits.parse::<u64>().ok()?.checked_mul(each)?;
    (1..=365 * 24 * 3600).contains(&total).then(|| Duration::from_secs(total))
}

fn lasting(text: &str) -> Result<Duration, Problem> {
    let shown: String = text.chars().take(40).collect();
    duration(text).ok_or_else(|| {
        let allowed = "a number and its unit, such as `90s`, `30m`, `2h`, `1d`, up to a year";
        Problem::new(Code::A103, format!("`{shown}` is no duration: {allowed}"))
    })
}

/// The version that the server must have, if the request says one.
fn expected(head: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = head.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    version.map(Some).ok_or_else(|| Problem::new(Code::A304, "`If-Match` is no `ETag` of ours"))
}

/// The server with its version.
fn tagged(server: &ServerReport) -> Response<Payload> {
    let mut answer = json(server);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", server.version)) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// The server of that name.
fn server<'a>(pool: &'a PoolReport, name: &str) -> Result<&'a ServerReport, Problem> {
    pool.servers.iter().find(|server| server.name == name).ok_or_else(|| {
        let names: Vec<String> = pool.servers.iter().map(|server| format!("`{}`", server.name)).collect();
        let detail = format!("the pool `{}` has no server `{name}`; it has {}", pool.name, names.join(", "));
        Problem::new(Code::A301, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("2h", 7200), ("365d", 31_536_000)] {
            assert_eq!(lasting(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "5", "h", "0s", "-1h", "1.5h", "366d", "99999999999999999999d", "1 h", "1h30m"] {
            assert_eq!(lasting(text).unwrap_err().code, "A103", "{text}");
        }
    }

    #[test]
    fn weights_are_numbers_or_percent() {
        assert_eq!(weight(&WishedWeight::Fixed(7)), Ok(OrderedWeight::Fixed(7)));
        assert_eq!(weight(&WishedWeight::Percent("50%".to_owned())), Ok(OrderedWeight::Percent(50)));
        for text in ["5000", "%", "1001%", "-5%", "5.5%", ""] {
            assert!(weight(&WishedWeight::Percent(text.to_owned())).is_err(), "{text}");
        }
        assert!(weight(&WishedWeight::Fixed(1001)).is_err());
    }
}
