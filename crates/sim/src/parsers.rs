//! What must hold of every parser, whatever bytes it gets. One function a parser; each panics where its property fails.
//!
//! The properties are the ones that keep two readers of the same bytes from disagreeing: a verdict does not depend on how
//! the bytes were cut, and what we write is read as what we meant. The invariant: a target looks at nothing but its bytes.

mod balance;
mod cluster;
mod config;
mod dns;
mod http;
mod learn;
mod preface;

pub use balance::{session_file, token};
pub use cluster::heartbeat;
pub use config::config;
pub use dns::{dns_checker, dns_message, dns_tsig, dns_zone};
pub use http::{h1_chunked, h1_cookie, h1_forwarded, h1_path, h1_request, h1_response, h2_request};
pub use learn::learn_body;
pub use preface::{proxy_header, tls_hello};

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Feeds it.
    pub feed: fn(&[u8]),
    /// Pieces of its language, for mutations.
    pub marks: &'static [&'static [u8]],
}

/// Every parser that reads what strangers send, what operators write, or what lay on a disk.
pub const TARGETS: &[Target] = &[
    Target { name: "h1_request", feed: h1_request, marks: HEAD_MARKS },
    Target { name: "h1_response", feed: h1_response, marks: HEAD_MARKS },
    Target {
        name: "h1_chunked",
        feed: h1_chunked,
        marks: &[b"\r\n", b"0\r\n\r\n", b";", b"\"", b"ffffffff", b"\n", b"T: v\r\n"],
    },
    Target {
        name: "h1_path",
        feed: h1_path,
        marks: &[b"/", b"..", b".", b"%2e", b"%2F", b"%", b"//", b"%25", b"/api"],
    },
    Target {
        name: "h1_cookie",
        feed: h1_cookie,
        marks: &[b";", b"; ", b"=", b"SID=", b"PRE=a~", b"~", b" ", b"\t", b"\"", b","],
    },
    Target {
        name: "h1_forwarded",
        feed: h1_forwarded,
        marks: &[b",", b", ", b"10.0.0.1", b"[::1]", b"::ffff:10.0.0.1", b":80", b"unknown", b" ", b"198.51.100.7"],
    },
    Target {
        name: "proxy_header",
        feed: proxy_header,
        marks: &[
            b"PROXY TCP4 ",
            b"TCP6 ",
            b"UNKNOWN",
            b"\r\n",
            b"192.0.2.1 ",
            b"::1 ",
            b"65535",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"\x21\x11\0\x0c",
            b"\x02\0\x01a",
            b"\x03\0\x04",
            b"\x20\0\x05\x01",
        ],
    },
    Target {
        name: "tls_hello",
        feed: tls_hello,
        marks: &[b"\x16\x03\x01\0", b"\x01\0\0", b"\0\0\0", b"\0\x10", b"\x03\x03", b"\x02h2", b"\xff"],
    },
    Target {
        name: "h2_request",
        feed: h2_request,
        marks: &[
            b"\n",
            b"=",
            b":path=/",
            b":authority=a",
            b"cookie=",
            b"host=a",
            b"content-length=",
            b"\r\n",
            b"te=trailers",
            b": ",
        ],
    },
    Target { name: "learn_body", feed: learn_body, marks: LINK_MARKS },
    Target { name: "config", feed: config, marks: CONFIG_MARKS },
    Target { name: "token", feed: token, marks: &[] },
    Target { name: "session_file", feed: session_file, marks: &[b"\0", b"\xff\xff\xff\xff"] },
    Target {
        name: "dns_message",
        feed: dns_message,
        marks: &[
            b"\xc0\x0c",
            b"\x01a\x00",
            b"\x00\x01\x00\x01",
            b"\x00\x00\x29",
            b"\xff",
            b"\x3f",
            b"\x00\x0a\x00\x08",
        ],
    },
    Target { name: "dns_zone", feed: dns_zone, marks: ZONE_MARKS },
    Target { name: "dns_checker", feed: dns_checker, marks: ZONE_MARKS },
    Target {
        name: "dns_tsig",
        feed: dns_tsig,
        marks: &[b"key \"k\" {", b"};", b"secret", b"hmac-sha256", b":", b"\xc0\x0c"],
    },
    Target { name: "heartbeat", feed: heartbeat, marks: &[b"EKB1", b"\0\0\0\0", b"\xff\xff"] },
];

const HEAD_MARKS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b"\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Content_Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close, x\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b" folded\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
];

const CONFIG_MARKS: &[&[u8]] = &[
    b" {\n",
    b"\n}\n",
    b"\n",
    b" \\\n",
    b" # ",
    b"\"",
    b"=",
    b",",
    b"$",
    b"{\"is\":",
    b"[",
    b"]",
    b"}",
    b" off",
    b"\xc2\xa0",
];

const LINK_MARKS: &[&[u8]] = &[
    b"sid=",
    b";jsessionid=",
    b"<a href=\"",
    b"\">",
    b"<base href='//",
    b"http://shop.test/",
    b"?",
    b"&amp;",
    b"%3d",
    b"0123456789abcdef",
    b"<!--",
    b"-->",
    b"<script>",
    b"\\/",
];

const ZONE_MARKS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b";; BALANCED_AUTOCHECK::80\n",
    b";; BALANCED_OPTIONS: owners=any\n",
    b";;",
    b"(",
    b")",
    b"\"",
    b"\\",
    b" A 192.0.2.1\n",
    b" AAAA 2001:db8::1\n",
    b"@",
    b"$ORIGIN a.\n",
    b"$GENERATE 1-3 w$ A 192.0.2.$\n",
    b"$TTL 1\n",
    b"\t",
];

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests;
