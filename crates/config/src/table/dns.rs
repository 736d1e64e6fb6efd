//! Words of a `dns` block, of its zones, and their options. A catalogue.

use std::time::Duration;

use evenkeel_model::{caps, defaults};

use super::{Context, Directive, Kind, ROW, Repeat, any, many, one};
use crate::print;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A zone that is made answers at its apex, and any zone at the names that it lists.
const NAMES: &[Context] = &[Context::Zone, Context::ZoneName];

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "dns",
        within: &[Context::Top],
        args: &[many("ADDRESS", Kind::Listen)],
        opens: Some(Context::Dns),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Answers DNS at these addresses, over UDP and TCP, for the zones of the block.",
        more: "`:53` is every address of the machine; an answer always leaves from the address that its query came to. Names of no zone here \
               are refused. The addresses are bound with all others before anything is answered, so that a node whose configuration or \
               listeners fail answers nothing.",
        example: "dns :53 {\n    zone api.example.com answer=self {\n        ns lb1.example.com=198.51.100.10 lb2.example.com=203.0.113.20\n    }\n}",
        ..ROW
    },
    Directive {
        name: "zone",
        within: &[Context::Dns],
        args: &[one("NAME", Kind::DnsName)],
        opens: Some(Context::Zone),
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "A zone that is answered: from a file, or made from these lines.",
        more: "With `file=` the records are those of a master file. Without it the zone is the delegated name itself, with a SOA, the `ns` \
               given here, and addresses chosen at each query as `answer=` says.",
        example: "zone example.com file=/etc/evenkeel/zones/example.com",
        ..ROW
    },
    Directive {
        name: "file",
        within: &[Context::Zone],
        args: &[one("PATH", Kind::Path)],
        otherwise: "the zone is made from these lines",
        doc: "The master file of the zone.",
        more: "It is read at start and reload; one bad line keeps the whole configuration from taking effect, and the zone that was read \
               before is answered on.",
        example: "zone example.com file=/etc/evenkeel/zones/example.com",
        ..ROW
    },
    Directive {
        name: "answer",
        within: NAMES,
        args: &[one("WHOSE", Kind::Choice(&["self", "self+peers", "peers", "pool"]))],
        default: Some(|| "self".to_owned()),
        doc: "Whose addresses the name is answered with.",
        more: "`self`: this node's own, and the peers' while no server of `pool=` is left or the node stops. `self+peers`: its own first, then \
               the healthy peers'. `peers`: the healthy peers' alone, which drains this node. `pool`: the healthy servers of `pool=`. Health \
               never makes an answer empty.",
        example: "zone api.example.com answer=self pool=shop",
        ..ROW
    },
    Directive {
        name: "pool",
        within: NAMES,
        args: &[one("POOL", Kind::Name)],
        otherwise: "the pools that requests for the name go to",
        doc: "The pool whose servers are answered, or, with the other answers, that has to have a server left for this node to answer with itself.",
        more: "Weights and backups count as they do for traffic. Servers given by name are answered with what the name resolves to. Without \
               `pool=` this node answers with itself as long as a server is left that the first page of the name (a GET of `/`) would come from; \
               pools of single paths, other sites and other services do not count. Where no site is for the name, `tcp` listeners are looked at, \
               then every pool that traffic is sent to.",
        example: "zone www.example.com answer=pool pool=shop",
        ..ROW
    },
    Directive {
        name: "peers",
        within: NAMES,
        args: &[one("POOL", Kind::Name)],
        otherwise: "none",
        doc: "The pool whose servers are the other nodes, with the check that tells whether they serve.",
        more: "A check of the peers' own service address says most: `check GET /healthz` on the port that clients use.",
        example: "zone api.example.com answer=self+peers peers=nodes",
        ..ROW
    },
    Directive {
        name: "address",
        within: NAMES,
        args: &[many("ADDRESS", Kind::Ip)],
        otherwise: "the address that the query came to",
        doc: "This node's own addresses, where they are not those that queries come to.",
        more: "Needed behind address translation, and for the other family: a query over IPv4 does not show the node's IPv6 address.",
        example: "zone api.example.com address=198.51.100.10,2001:db8::10",
        ..ROW
    },
    Directive {
        name: "ttl",
        within: NAMES,
        args: &[one("DURATION", Kind::Duration(Duration::ZERO, WEEK))],
        default: Some(|| print::duration(defaults::DNS_TTL)),
        doc: "How long an answer may be kept.",
        more: "While a check has begun to fail or to pass again, answers carry the time until the next possible change instead, but no less than `ttl-min`.",
        example: "zone api.example.com ttl=30s",
        ..ROW
    },
    Directive {
        name: "ttl-min",
        within: NAMES,
        args: &[one("DURATION", Kind::Duration(Duration::ZERO, WEEK))],
        default: Some(|| print::duration(defaults::DNS_TTL_MIN)),
        doc: "How long an answer may be kept at least.",
        more: "Some resolvers keep every answer for 5 s, whatever it says.",
        example: "zone api.example.com ttl-min=5s",
        ..ROW
    },
    Directive {
        name: "most",
        within: NAMES,
        args: &[one("NUMBER", Kind::Integer(1, caps::DNS_BALANCED_ADDRESSES as u64))],
        default: Some(|| defaults::DNS_MOST.to_string()),
        doc: "Most addresses in one answer.",
        more: "Eight fit every datagram with room to spare.",
        example: "zone www.example.com answer=pool pool=shop most=4",
        ..ROW
    },
    Directive {
        name: "min",
        within: NAMES,
        args: &[one("NUMBER", Kind::Integer(1, caps::SERVERS_PER_POOL as u64))],
        default: Some(|| "1".to_owned()),
        doc: "Fewest addresses that must be alive before health is believed.",
        more: "Below it `fallback=` says what is answered.",
        example: "zone www.example.com answer=pool pool=shop min=2",
        ..ROW
    },
    Directive {
        name: "min-percent",
        within: NAMES,
        args: &[one("PERCENT", Kind::Percent(0, 100))],
        default: Some(|| "0%".to_owned()),
        doc: "Least share of the addresses that must be alive before health is believed.",
        more: "With few left, clients of the dead ones would overload the rest; `min-percent=50%` then answers with all.",
        example: "zone www.example.com answer=pool pool=shop min-percent=50%",
        ..ROW
    },
    Directive {
        name: "fallback",
        within: NAMES,
        args: &[one("WHAT", Kind::Choice(&["all", "last-good"]))],
        default: Some(|| "all".to_owned()),
        doc: "What is answered where too few are alive.",
        more: "`all`: every address, as if nothing were known. `last-good`: those that were alive when enough of them were.",
        example: "zone www.example.com answer=pool pool=shop fallback=last-good",
        ..ROW
    },
    Directive {
        name: "spread",
        within: NAMES,
        args: &[one("HOW", Kind::Choice(&["rotate", "hash"]))],
        default: Some(|| "rotate".to_owned()),
        doc: "How the addresses of one answer are chosen from many.",
        more: "`rotate` draws anew at each query, by weight. `hash` gives the same client (an IPv4 address, an IPv6 /64) the same addresses.",
        example: "zone www.example.com answer=pool pool=shop spread=hash",
        ..ROW
    },
    Directive {
        name: "ns",
        within: &[Context::Zone],
        args: &[many("SERVER", Kind::NameServer)],
        otherwise: "those of the file",
        doc: "The name servers of a zone that is made, with their addresses.",
        more: "They are the names that the parent zone delegates to. Addresses are needed for names inside the zone; beside other names they \
               tell the self-test what the parent should say.",
        example: "ns lb1.example.com=198.51.100.10,2001:db8::10 lb2.example.com=203.0.113.20",
        ..ROW
    },
    Directive {
        name: "ns-ttl",
        within: &[Context::Zone],
        args: &[one("DURATION", Kind::Duration(SECOND, WEEK))],
        default: Some(|| print::duration(defaults::DNS_NS_TTL)),
        doc: "How long NS records and their addresses may be kept.",
        more: "They change seldom; five minutes keep resolvers from asking for them with every query.",
        example: "zone api.example.com ns-ttl=5m",
        ..ROW
    },
    Directive {
        name: "negative-ttl",
        within: &[Context::Zone],
        args: &[one("DURATION", Kind::Duration(Duration::ZERO, WEEK))],
        otherwise: "as `ttl`",
        doc: "How long the answer that something is not there may be kept.",
        more: "Never longer than `ttl`: a name that was just made would stay hidden.",
        example: "zone api.example.com negative-ttl=10s",
        ..ROW
    },
    Directive {
        name: "wildcard",
        within: &[Context::Zone],
        otherwise: "only the zone's own name is answered",
        doc: "Answers every name below the zone like the zone itself.",
        more: "Every name then exists, also those that are asked for by mistake.",
        example: "zone api.example.com answer=self wildcard",
        ..ROW
    },
    Directive {
        name: "name",
        within: &[Context::Zone],
        args: &[one("NAME", Kind::DnsName)],
        opens: Some(Context::ZoneName),
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "A name in a zone file whose addresses are chosen by health.",
        more: "The name is relative to the zone unless it ends with a dot. The file must have it; its A and AAAA records there are answered only \
               for a family that the choice has no address of, and never beside answers that only lead to the name (NS, MX, SRV, HTTPS).",
        example: "zone example.com file=/etc/evenkeel/zones/example.com {\n    name www answer=pool pool=shop\n}",
        ..ROW
    },
    Directive {
        name: "transfer",
        within: &[Context::Zone],
        args: &[any("RANGE", Kind::Network)],
        opens: Some(Context::Transfer),
        repeat: Repeat::Many,
        otherwise: "nobody",
        doc: "Who may transfer the zone.",
        more: "With `key=` the request must be signed by that key; without addresses the key alone decides. Zones with answers chosen by \
               health are transferred as they stand at that moment, and are better answered by each node itself.",
        example: "transfer 192.0.2.53 key=cred:xfer",
        ..ROW
    },
    Directive {
        name: "notify",
        within: &[Context::Zone],
        args: &[many("ADDRESS", Kind::Resolver)],
        opens: Some(Context::Notify),
        repeat: Repeat::Many,
        otherwise: "nobody",
        doc: "Secondary servers that are told when the zone's serial has changed.",
        more: "Told at the start and after a reload that brought another serial, again until they answer.",
        example: "notify 192.0.2.53 key=cred:xfer",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Transfer, Context::Notify],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "none",
        doc: "Where the key (TSIG) is kept that signs, in the form that `tsig-keygen` prints.",
        more: "Both servers know it by the same name. A line `hmac-sha256:NAME:BASE64` is taken as well.",
        example: "transfer key=file:/etc/evenkeel/xfer.key",
        ..ROW
    },
    Directive {
        name: "id",
        within: &[Context::Dns],
        args: &[one("TEXT", Kind::TextOrOff)],
        default: Some(|| "off".to_owned()),
        doc: "What is told to those who ask which server this is (NSID, `id.server`).",
        more: "Names of nodes help to see which of them answered.",
        example: "id lb1",
        ..ROW
    },
    Directive {
        name: "version",
        within: &[Context::Dns],
        args: &[one("TEXT", Kind::TextOrOff)],
        default: Some(|| "off".to_owned()),
        doc: "What is told to those who ask for the version (`version.bind`).",
        more: "Off, the question is refused.",
        example: "version evenkeel",
        ..ROW
    },
    Directive {
        name: "rate",
        within: &[Context::Dns],
        args: &[one("NUMBER", Kind::IntegerOrOff(1, 1_000_000))],
        opens: Some(Context::DnsRate),
        default: Some(|| defaults::DNS_RATE.to_string()),
        doc: "How many responses a second one client gets over UDP.",
        more: "It keeps forged addresses from using this server against others. Wider networks may have more, but not as much more as they are \
               wider. Clients with a cookie and those over TCP are not counted.",
        example: "rate 200 burst=500",
        ..ROW
    },
    Directive {
        name: "burst",
        within: &[Context::DnsRate],
        args: &[one("NUMBER", Kind::Integer(1, 1_000_000))],
        default: Some(|| defaults::DNS_RATE_BURST.to_string()),
        doc: "How many a client that was quiet gets at once.",
        more: "A resolver that starts with an empty memory asks for much at once.",
        example: "rate 50 burst=125",
        ..ROW
    },
    Directive {
        name: "slip",
        within: &[Context::DnsRate],
        args: &[one("NUMBER", Kind::Integer(0, 100))],
        default: Some(|| defaults::DNS_RATE_SLIP.to_string()),
        doc: "Past the rate, every how many-th response is sent cut, by which an honest client comes over TCP.",
        more: "0 sends none, 1 cuts all.",
        example: "rate 50 slip=1",
        ..ROW
    },
    Directive {
        name: "cookies",
        within: &[Context::Dns],
        args: &[one("STATE", Kind::Choice(&["on", "off"]))],
        opens: Some(Context::DnsCookies),
        default: Some(|| "on".to_owned()),
        doc: "Whether clients get cookies, by which they show that their address is theirs.",
        more: "Nodes that answer for one address need the same `key=`, so that each takes the others' cookies.",
        example: "cookies on key=cred:dns-cookies",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::DnsCookies],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "a secret of this node's own",
        doc: "Where the secret is kept.",
        more: "At least 16 bytes of any kind.",
        example: "cookies on key=cred:dns-cookies",
        ..ROW
    },
    Directive {
        name: "tcp",
        within: &[Context::Dns],
        opens: Some(Context::DnsTcp),
        doc: "Bounds of connections over TCP.",
        more: "Past them, the connection that was quiet longest makes room for a new one; a client past its own share is closed.",
        example: "tcp idle=5s per-client=8",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::DnsTcp],
        args: &[one("DURATION", Kind::Duration(SECOND, HOUR))],
        default: Some(|| print::duration(defaults::DNS_TCP_IDLE)),
        doc: "How long a connection without a query is kept.",
        more: "A query that has begun has as long to arrive whole.",
        example: "tcp idle=5s",
        ..ROW
    },
    Directive {
        name: "per-client",
        within: &[Context::DnsTcp],
        args: &[one("NUMBER", Kind::Integer(1, 100_000))],
        default: Some(|| defaults::DNS_TCP_PER_CLIENT.to_string()),
        doc: "How many connections one client may have.",
        more: "A client is an IPv4 address or an IPv6 /64.",
        example: "tcp per-client=8",
        ..ROW
    },
    Directive {
        name: "conns",
        within: &[Context::DnsTcp],
        args: &[one("NUMBER", Kind::Integer(1, 1_000_000))],
        default: Some(|| defaults::DNS_TCP_CONNS.to_string()),
        doc: "How many connections there may be in all.",
        more: "They are counted beside `limits.conns`, which is for web traffic.",
        example: "tcp conns=500",
        ..ROW
    },
    Directive {
        name: "log",
        within: &[Context::Dns],
        args: &[one("TARGET", Kind::LogTarget)],
        opens: Some(Context::DnsLog),
        default: Some(|| "off".to_owned()),
        doc: "Writes a line for each query that is noted.",
        more: "A line has time, client, name, type, outcome, size and what the query came over. A slow disk loses lines, never answers.",
        example: "log /var/log/evenkeel/dns.log keep=1%",
        ..ROW
    },
    Directive {
        name: "keep",
        within: &[Context::DnsLog],
        args: &[one("PERCENT", Kind::Percent(1, 100))],
        default: Some(|| "100%".to_owned()),
        doc: "The share of queries that is noted.",
        more: "Drawn at random; a busy server needs no more than one in a hundred to be understood.",
        example: "log /var/log/evenkeel/dns.log keep=1%",
        ..ROW
    },
];
