//! Whether a request comes from where it should: guards against foreign pages in an operator's browser.
//!
//! The invariant: what a browser sends on behalf of a page of another origin changes nothing, by whatever name it comes.

use std::net::IpAddr;

use evenkeel_model::config::HostPattern;
use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

use crate::problem::{Code, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses names that are not ours: a foreign page's name may resolve to this machine.
pub(crate) fn check_host(head: &HeaderMap, ours: &[HostPattern]) -> Result<(), Problem> {
    let host = text(head, &HOST).unwrap_or_default();
    let name = name_of(host);
    if is_literal(name) || name.eq_ignore_ascii_case("localhost") || ours.iter().any(|pattern| fits(pattern, name)) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).filter(|shown| !shown.is_control()).collect();
    let detail = format!("`{shown}` is no name of this listener; use its address, or add `host {shown}` to `admin`");
    Err(Problem::new(Code::A204, detail))
}

/// Refuses changes that a page of another origin asks for. A browser says so in `Sec-Fetch-Site`; on plain HTTP, where
/// it may not, `Origin` does. Programs send neither.
pub(crate) fn check_page(head: &HeaderMap, has_cookie: bool) -> Result<(), Problem> {
    let foreign = |why: &str| Err(Problem::new(Code::A203, why.to_owned()));
    let site = text(head, &SEC_FETCH_SITE);
    if let Some(site) = site.filter(|site| !matches!(*site, "same-origin" | "none")) {
        return foreign(if site == "cross-site" {
            "the page is of another site"
        } else {
            "the page is of another origin"
        });
    }
    match text(head, &ORIGIN) {
        Some(origin) => {
            let host = text(head, &HOST).unwrap_or_default();
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            match authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) && !host.is_empty() {
                true => Ok(()),
                false => foreign("the page's `Origin` is not this listener"),
            }
        }
        None if head.contains_key(ORIGIN) => foreign("the `Origin` is no text"),
        None if has_cookie && site.is_none() => {
            foreign("a cookie comes from a browser, which says neither `Origin` nor `Sec-Fetch-Site`")
        }
        None => Ok(()),
    }
}

fn text<'a>(head: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = head.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    // Two of a kind contradict each other.
    values.next().is_none().then_some(value)
}

/// The host without its port, and without the brackets of an IPv6 address.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(name, _)| name);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_literal(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn fits(pattern: &HostPattern, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match pattern {
        HostPattern::Exact(exact) => name == *exact,
        HostPattern::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in fields {
            head.append(*name, HeaderValue::from_static(value));
        }
        head
    }

    #[test]
    fn only_addresses_localhost_and_listed_names_are_answered() {
        let ours = [HostPattern::Exact("lb1.example.com".to_owned()), HostPattern::Below(".lb.example".to_owned())];
        for host in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "[::1]:9090",
            "[2001:db8::1]",
            "LocalHost:1",
            "lb1.example.com:9",
            "a.lb.example",
        ] {
            assert!(check_host(&head(&[("host", host)]), &ours).is_ok(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9090",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            ".lb.example",
            "[evil]",
            "2130706433.evil",
        ] {
            assert_eq!(check_host(&head(&[("host", host)]), &ours).unwrap_err().code, "A204", "{host}");
        }
        assert!(check_host(&head(&[]), &ours).is_err());
        assert!(check_host(&head(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]), &ours).is_err());
    }

    #[test]
    fn changes_come_from_our_own_page_or_from_no_page_at_all() {
        let good: [&[(&str, &str)]; 5] = [
            &[("host", "127.0.0.1:9")],
            &[("host", "127.0.0.1:9"), ("sec-fetch-site", "same-origin")],
            &[("host", "127.0.0.1:9"), ("sec-fetch-site", "none")],
            &[("host", "127.0.0.1:9"), ("origin", "http://127.0.0.1:9")],
            &[("host", "lb:9"), ("origin", "https://lb:9"), ("sec-fetch-site", "same-origin")],
        ];
        for fields in good {
            assert!(check_page(&head(fields), false).is_ok(), "{fields:?}");
        }
        let bad: [&[(&str, &str)]; 8] = [
            &[("host", "127.0.0.1:9"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:9"), ("sec-fetch-site", "same-site")],
            &[("host", "127.0.0.1:9"), ("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9")],
            &[("host", "127.0.0.1:9"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:9"), ("origin", "http://127.0.0.1:8")],
            &[("host", "127.0.0.1:9"), ("origin", "null")],
            &[("host", "127.0.0.1:9"), ("origin", "http://127.0.0.1:9"), ("origin", "http://127.0.0.1:9")],
            &[("origin", "http://")],
        ];
        for fields in bad {
            assert_eq!(check_page(&head(fields), false).unwrap_err().code, "A203", "{fields:?}");
        }
        assert!(check_page(&head(&[("host", "127.0.0.1:9")]), true).is_err(), "a cookie without an origin");
    }
}
