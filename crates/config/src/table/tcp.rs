//! Words of a `tcp` block, and their options. A catalogue.

use std::time::Duration;

use evenkeel_model::defaults;

use super::{Context, Directive, Kind, ROW, Repeat, many, one};
use crate::print;

const SHORTEST: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "tcp",
        within: &[Context::Top],
        args: &[one("ADDRESS", Kind::Listen)],
        opens: Some(Context::Tcp),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Takes connections at an address and passes them on byte for byte.",
        more: "For databases, mail, and whatever is not HTTP. Servers are chosen, checked, kept to by `sticky client` and drained as with `http`; a \
               server that does not accept is passed over before the client notices. With a `cert` it takes TLS off; without, TLS passes as it is.",
        example: "tcp :5432 {\n    to 10.0.0.21:5432 10.0.0.22:5432\n    balance least-conn\n}",
        ..ROW
    },
    Directive {
        name: "to",
        within: &[Context::Tcp],
        args: &[many("ADDRESS", Kind::Server)],
        otherwise: "none",
        doc: "Sends every connection that no route took to these servers.",
        more: "They make a pool of their own, whose words may stand in the same block. Servers with weights, names or `backup` go in a `pool`.",
        example: "tcp :25 {\n    to 10.0.0.31:25 10.0.0.32:25\n}",
        ..ROW
    },
    Directive {
        name: "route",
        within: &[Context::Tcp],
        opens: Some(Context::TcpRoute),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Says which pool a connection goes to.",
        more: "The first route that fits takes the connection. With `sni` it is by the name that a TLS client asks for, which is read without \
               decrypting anything, or in a block with a `cert` told by the handshake; without, it takes every connection.",
        example: "tcp :443 {\n    route sni=shop.example.com to=shop\n    route to=other\n}",
        ..ROW
    },
    Directive {
        name: "sni",
        within: &[Context::TcpRoute],
        args: &[many("HOST", Kind::HostPattern)],
        otherwise: "every connection",
        doc: "The names, one of which a TLS client must ask for.",
        more: "`*.example.com` is every name below. A block with such a route waits for the client's first words, within `timeout head`: it is not for \
               protocols in which the server speaks first.",
        example: "route sni=shop.example.com,*.shop.example.com to=shop",
        ..ROW
    },
    Directive {
        name: "to",
        within: &[Context::TcpRoute],
        args: &[one("POOL", Kind::Name)],
        otherwise: "none; every route needs one",
        doc: "The pool whose servers get the connections.",
        more: "Its checks, balancing and limits are those of the pool.",
        example: "route sni=db.example.com to=db",
        ..ROW
    },
    Directive {
        name: "proxy-protocol",
        within: &[Context::Http, Context::Tcp],
        opens: Some(Context::ProxyProtocol),
        doc: "Proxies in front of us begin each connection with a PROXY header that tells whose it is.",
        more: "Versions 1 and 2 are understood. The client's address is then the one in the header: in logs, in `X-Forwarded-For`, in hashes and limits.",
        example: "proxy-protocol from=10.0.0.0/8",
        ..ROW
    },
    Directive {
        name: "from",
        within: &[Context::ProxyProtocol],
        args: &[many("RANGE", Kind::Network)],
        otherwise: "none; it must be given",
        doc: "The proxies that send the header.",
        more: "A connection of theirs without one is closed, and so is every connection from elsewhere: who may say it must say it, and who may not is \
               not guessed at. The counters in `status` tell how often.",
        example: "proxy-protocol from=10.0.0.0/8,2001:db8::/64",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Tcp],
        opens: Some(Context::TcpTimeout),
        doc: "How long a connection may be silent.",
        more: "Each of them is given alone. How long servers may take to accept stands in their `pool`. `timeout` at the top is for requests, and does not \
               hold here.",
        example: "timeout idle=8h fin=30s",
        ..ROW
    },
    Directive {
        name: "head",
        within: &[Context::TcpTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::CLIENT_HEAD_TIMEOUT)),
        doc: "For what comes before a connection is passed on: a PROXY header, a TLS hello, a handshake where TLS ends here.",
        more: "Then the connection is closed. Where neither is awaited, a client may be silent.",
        example: "timeout head=5s",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::TcpTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, MONTH))],
        default: Some(|| print::duration(defaults::TCP_IDLE_TIMEOUT)),
        doc: "Without a byte either way.",
        more: "Programs that pool connections leave them silent for long: set it above what they do, or below it to have them close first.",
        example: "timeout idle=8h",
        ..ROW
    },
    Directive {
        name: "fin",
        within: &[Context::TcpTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, MONTH))],
        default: Some(|| print::duration(defaults::TCP_FIN_TIMEOUT)),
        doc: "Once one side has ended its sending, without a byte from the other.",
        more: "A connection that is half closed goes on for as long as the other half speaks. This is for those whose other end is gone.",
        example: "timeout fin=30s",
        ..ROW
    },
];
