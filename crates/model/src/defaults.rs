//! Every default of the configuration, in one place, each with its reason. The directive table and the
//! constructors read them from here, so that a default is never written twice.

use std::time::Duration;

/// `state`: where intents, keys and certificates live.
pub const STATE_DIR: &str = "/var/lib/evenkeel";

/// `limits.drain`: how long a stopping process waits for its connections.
pub const DRAIN: Duration = Duration::from_secs(30);

/// `timeout.head`: the whole request head, not each read, so that a slow client gains nothing by dripping.
pub const CLIENT_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// `timeout.body`: the longest pause between two pieces of a request's body.
pub const CLIENT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// `timeout.idle`: a kept client connection without a request.
pub const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// `timeout.send`: the longest time in which a client takes no byte of its answer.
pub const CLIENT_SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// `timeout.rate`: bytes a second, far below the slowest line in use and far above what a client drips that only means to
/// hold a server's slot.
pub const CLIENT_RATE: u64 = 100;
/// `timeout.tunnel`: an upgraded connection (WebSocket) on which neither side says a word.
pub const TUNNEL_TIMEOUT: Duration = Duration::from_secs(3600);
/// `timeout.life`: the age past which a kept client connection is closed after its answer.
pub const CLIENT_LIFE: Duration = Duration::from_secs(3600);

/// `timeout.idle` of `tcp`: programs keep connections to databases open for long without a word; as for tunnels.
pub const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Silence after which the system asks the ends of a TCP connection for a sign of life; below the five minutes after which
/// common firewalls forget one.
pub const TCP_WATCH: Duration = Duration::from_secs(60);
/// `timeout.fin` of `tcp`: who has ended its sending may still wait for a long answer, and may as well be gone.
pub const TCP_FIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// `max.head`: bytes of a request head (431).
pub const MAX_HEAD: u64 = 16 * 1024;
/// `max.fields`: fields of a request head (431).
pub const MAX_FIELDS: u16 = 100;
/// `max.target`: bytes of a request target (414).
pub const MAX_TARGET: u64 = 8 * 1024;
/// `max.requests`: requests on one connection.
pub const MAX_REQUESTS: u32 = 10_000;
/// `max.streams`: what HAProxy and most browsers take for enough, and each holds what a connection of its own would.
pub const MAX_STREAMS: u32 = 100;

/// `timeout.connect` of a pool: three times a lost SYN's first repetition.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// `timeout.answer` of a pool: from the request's last byte, or the last sign of life, to the answer's head.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// `timeout.idle` of a pool: the longest pause between two pieces of an answer's body.
pub const SERVER_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// `timeout.keep` of a pool: how long an unused connection to a server is kept; below the 5 s of common servers'
/// shortest keep-alive, so that ours is the side that closes.
pub const SERVER_KEEP: Duration = Duration::from_secs(4);
/// `queue.timeout`: waiting for a server's slot.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// `queue.max`: requests waiting for a slot of one pool.
pub const QUEUE_MAX: u32 = 1024;

/// `check.every`
pub const CHECK_EVERY: Duration = Duration::from_secs(2);
/// `check.timeout`
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// `check.rise`: checks passed in a row before a server that was down gets traffic.
pub const CHECK_RISE: u16 = 2;
/// `check.fall`: checks failed in a row before a server is down.
pub const CHECK_FALL: u16 = 3;

/// `check.user`: who asks databases; it need not be known to them.
pub const CHECK_USER: &str = "evenkeel";

/// `eject.errors`: failures of live traffic within the window that take a server out.
pub const EJECT_ERRORS: u32 = 5;
/// `eject.within`
pub const EJECT_WITHIN: Duration = Duration::from_secs(10);
/// `eject.for`: how long it stays out; doubled at each repetition, up to ten times.
pub const EJECT_FOR: Duration = Duration::from_secs(10);
/// `eject.most`: percent of a pool that live traffic may take out.
pub const EJECT_MOST: u8 = 50;

/// `retry`: further attempts after the first.
pub const RETRIES: u8 = 2;
/// `retry.budget`: retries in percent of requests, so that retries never multiply an outage.
pub const RETRY_BUDGET: u8 = 20;
/// `retry.replay`: bytes of a request's body kept for sending again.
pub const REPLAY: u64 = 64 * 1024;

/// `weight` of a server.
pub const WEIGHT: u16 = 1;
/// Largest weight.
pub const WEIGHT_MAX: u16 = 1000;

/// `hash … bound`: a hashed server takes at most this many percent of the average load before the next is asked.
pub const HASH_BOUND: u16 = 200;

/// Name of the sticky cookie.
pub const STICKY_COOKIE: &str = "evenkeel";
/// `sticky.idle`: a token not seen for so long is void.
pub const STICKY_IDLE: Duration = Duration::from_secs(30 * 60);
/// `sticky.life`: a token older than this is void.
pub const STICKY_LIFE: Duration = Duration::from_secs(24 * 3600);

/// `sessions.max`: learned sessions of a pool, about 6 MB.
pub const SESSIONS_MAX: u32 = 100_000;

/// Name of the field that carries a request's id.
pub const REQUEST_ID: &str = "X-Request-Id";

/// `reuse` verdicts older than this at a start say nothing any more.
pub const VERDICT_MEMORY: Duration = Duration::from_secs(60);

/// `zonefile.every`: as often as cron can.
pub const ZONEFILE_EVERY: Duration = Duration::from_secs(60);
/// `zonefile.timeout`: one probe.
pub const ZONEFILE_TIMEOUT: Duration = Duration::from_secs(1);
/// `zonefile.check.rise`: one lost packet moves nothing.
pub const ZONEFILE_RISE: u16 = 2;
/// `zonefile.check.fall`
pub const ZONEFILE_FALL: u16 = 2;
/// `zonefile.then.timeout`: a name server that loads many zones takes its time.
pub const THEN_TIMEOUT: Duration = Duration::from_secs(30);

/// `ttl` of a name whose addresses are chosen by health: resolvers ask again soon, and a dead node is left within it.
pub const DNS_TTL: Duration = Duration::from_secs(30);
/// `ttl-min`: what some resolvers take at least.
pub const DNS_TTL_MIN: Duration = Duration::from_secs(5);
/// `ns-ttl`
pub const DNS_NS_TTL: Duration = Duration::from_secs(300);
/// Seconds after which a secondary of a zone that is made asks for its serial: RFC 1912 has 20 minutes to 12 hours, and
/// below four hours zonemaster takes note.
pub const DNS_REFRESH: u32 = 14_400;
/// Seconds after which it asks again where nobody answered: a part of the former, at least an hour by zonemaster.
pub const DNS_RETRY: u32 = 3_600;
/// Seconds after which it answers no more: RFC 1912 has two to four weeks.
pub const DNS_EXPIRE: u32 = 1_209_600;
/// `most` addresses in one answer.
pub const DNS_MOST: u8 = 8;
/// `rate`: responses a second to one client; a resolver without cookies that asks more often for names with a TTL of
/// 30 s is rare.
pub const DNS_RATE: u32 = 50;
/// `rate.burst`
pub const DNS_RATE_BURST: u32 = 125;
/// `rate.slip`: half of what is past the rate gets the way out.
pub const DNS_RATE_SLIP: u32 = 2;
/// `tcp.idle`: as Knot DNS; long enough for a resolver's next question.
pub const DNS_TCP_IDLE: Duration = Duration::from_secs(10);
/// `tcp.per-client`
pub const DNS_TCP_PER_CLIENT: u32 = 16;
/// `tcp.conns`
pub const DNS_TCP_CONNS: u32 = 1000;

/// `port` of a cluster: UDP, registered for nothing else, above the privileged ones.
pub const CLUSTER_PORT: u16 = 6940;
/// `beat.every`: between two heartbeats.
pub const BEAT_EVERY: Duration = Duration::from_millis(200);
/// `beat.warn`: after this much silence a node is late.
pub const BEAT_WARN: Duration = Duration::from_millis(600);
/// `beat.dead`: after this much silence a node is dead: five heartbeats.
pub const BEAT_DEAD: Duration = Duration::from_secs(1);
/// `beat.init`: how long a node that starts waits for the others, as a multiple of `beat.dead`.
pub const BEAT_INIT_DEAD_TIMES: u32 = 3;
/// The shortest time that the kernel keeps a service address which nobody renews: it counts in seconds.
pub const ADDRESS_LIFETIME: Duration = Duration::from_secs(1);
/// `timeout` of a service address: the kernel answers at once.
pub const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);
/// `timeout` of a unit or script: what systemd gives a unit, less what would make everybody give up.
pub const RESOURCE_TIMEOUT: Duration = Duration::from_secs(60);
/// `every` of a unit or script: how often it is looked at while it runs.
pub const RESOURCE_EVERY: Duration = Duration::from_secs(5);
