//! Every bound on a queue, table, buffer or retry that is not a word of the configuration, each with its reason.

use std::time::Duration;

/// Longest name of a pool or server, in bytes: fits a label of metrics and a column of `status`.
pub const NAME_BYTES: usize = 64;

/// Most servers in one pool. Tables of balancing are rebuilt at each change of verdict, and the set of servers
/// already tried by a request is a bit set of this size.
pub const SERVERS_PER_POOL: usize = 1024;

/// Most sticky methods of one pool: each is asked at each request, and there are no more kinds of them.
pub const STICKY_METHODS: usize = 8;

/// Tokens that a worker remembers as opened, for each pool: opening one costs a third of a request, and a hundred and
/// fifty kilobytes hold those of a thousand clients who are there at one time.
pub const TOKENS_REMEMBERED: usize = 1024;

/// Sessions in tokens that are counted one by one, for each pool; of more, a part is followed and stands for all. 32 KiB for
/// a pool whose tokens are in use.
pub const SESSIONS_COUNTED: usize = 2048;

/// Networks from which one token may come before it is called copied: somebody on a journey changes between a few.
pub const TOKEN_NETWORKS: u32 = 8;

/// Most requests that wait for a slot of one pool, whatever `queue` says: each holds a connection and a buffer.
pub const QUEUE_PER_POOL: u32 = 65_536;

/// Bytes of the buffer that a connection holds while bytes are in flight: the largest head plus room for
/// the fields that we add.
pub const CONNECTION_BUFFER: usize = 18 * 1024;

/// Bytes of the buffer that a connection's heads are read into at first: most are far smaller, and one that is not
/// gets [`CONNECTION_BUFFER`].
pub const HEAD_BUFFER: usize = 4 * 1024;

/// Most bytes of an answer's body that are copied behind its head, so that one call without a list of pieces sends
/// both.
pub const SMALL_ANSWER: usize = 2 * 1024;

/// Bytes of the buffer used to move bodies: big enough that a large answer costs few system calls, small enough
/// to stay in the processor's second cache.
pub const BODY_BUFFER: usize = 64 * 1024;

/// Listeners of our own that a request may go through, one behind the other, before it is taken for one that goes round.
pub const OWN_ROUNDS: u32 = 8;

/// Free buffers of each kind, and the like, that a worker keeps for reuse though nobody needed so many lately; those above
/// it go back to the allocator.
pub const SPARES_PER_WORKER: usize = 256;

/// Bytes of a body on a client's HTTP/2 stream that may be under way to us before anything took them: about what a new
/// connection of TCP sends before it hears anything (RFC 6928). The connection has as much for each stream that it may
/// carry, so that those whose servers do not read leave the others theirs.
pub const HTTP2_STREAM_WINDOW: u32 = 16 * 1024;

/// The same for large bodies, as long as there is memory: 20 Mbit/s from a client 100 ms away.
pub const HTTP2_UPLOAD_WINDOW: u32 = 256 * 1024;

/// Large bodies at one time on an HTTP/2 connection that have the larger window; of twice as many each has half of it, and
/// so on down to the small one.
pub const HTTP2_UPLOADS: u32 = 2;

/// Bytes that the larger windows of an HTTP/2 connection may take in all, however many bodies come one after the other:
/// two of 256 KiB, two of 128, four of 64 and eight of 32.
pub const HTTP2_UPLOADS_HELD: u32 = 5 * HTTP2_UPLOAD_WINDOW;

/// Bytes of an answer on a stream from a server that may be under way before its client took them: 60 MB/s from a server a
/// millisecond away. The connection, which requests of many clients share, has no bound of its own: a client that does not
/// read would use it up for all.
pub const HTTP2_SERVER_WINDOW: u32 = 64 * 1024;

/// Bytes that a server's small DATA frames on one connection may cost us beyond what they carry (256 bytes a frame) while
/// their clients do not read: as much as 60 streams of messages of 50 bytes.
pub const HTTP2_SMALL_FRAMES: usize = 16 * 1024 * 1024;

/// Bytes between a stream and whoever serves it, in each direction.
pub const HTTP2_STREAM_BUFFER: usize = 32 * 1024;

/// Bytes that wait to be sent on one HTTP/2 connection before its streams have to wait: what one call to the system
/// takes.
pub const HTTP2_SEND_BUFFER: usize = 64 * 1024;

/// Streams that an HTTP/2 client may reset in a second; a person who types into a search field resets a few.
pub const HTTP2_RESET_RATE: u32 = 100;

/// Streams that an HTTP/2 client may reset without having been answered, each answer in between earning one more: rapid
/// reset (CVE-2023-44487) lives on resets that cost it nothing.
pub const HTTP2_RESETS_UNANSWERED: u32 = 100;

/// Streams that an HTTP/2 server may reset in a second: as many as it may answer on one connection before it has read their
/// requests (RFC 9113 section 8.1).
pub const HTTP2_SERVER_RESET_RATE: u32 = 20_000;

/// Streams that faults of an HTTP/2 client may make us reset on one connection (CVE-2025-8671).
pub const HTTP2_RESETS_OURS: usize = 200;

/// PING frames that an HTTP/2 peer may send in a second: while data flows to it, gRPC measures the line with one in each
/// round trip, which takes some 50 µs at the least. Each is answered before the next is read, so that none pile up.
pub const HTTP2_PING_RATE: u32 = 20_000;

/// SETTINGS frames that an HTTP/2 peer may send in a second; they change once or twice in a connection's life.
pub const HTTP2_SETTINGS_RATE: u32 = 20;

/// Empty DATA frames that an HTTP/2 peer may send in a second without ending a stream: nothing needs them.
pub const HTTP2_EMPTY_DATA_RATE: u32 = 50;

/// PRIORITY and unknown frames that an HTTP/2 peer may send in a second: browsers send some for each page.
pub const HTTP2_IDLE_RATE: u32 = 500;

/// WINDOW_UPDATE frames that an HTTP/2 peer may send in a second: one for each 16 KiB at 2.6 Gbit/s.
pub const HTTP2_WINDOW_RATE: u32 = 20_000;

/// Streams of a client's connection that are known as open, 4 bytes each: more than it may have at a time by default. Of older
/// ones the library alone knows whether they have ended.
pub const HTTP2_OPEN_SEEN: usize = 256;

/// Requests at one time on one HTTP/2 connection to a server, where the server allows as many: past it another connection
/// is opened, so that one lost packet holds up no more than these.
pub const HTTP2_SERVER_STREAMS: u32 = 100;

/// Streams of one HTTP/2 connection to a server that are given up at once because their clients left; the connection then
/// gets no more. Servers end one on which there are many: hyper after 20 that it had not looked at, Netty after 200 in
/// 30 seconds, this one after 100 in a second.
pub const HTTP2_GIVEN_UP: u32 = 10;

/// Time in which one more may be given up.
pub const HTTP2_GIVEN_UP_STEP: Duration = Duration::from_millis(300);

/// Streams given up beyond those answered, after which the connection gets no more, however slowly that came.
pub const HTTP2_GIVEN_UP_UNANSWERED: u32 = 50;

/// Connections of HTTP/2 on which one request may find that their server takes no further streams (GOAWAY), beside the
/// attempts that its pool allows. A server that ends its connections after 50 streams meets a tenth of the requests of 20
/// clients; each new connection again a tenth of those.
pub const HTTP2_SERVER_LEAVES: u32 = 8;

/// HTTP/2 connections of one worker to one server.
pub const HTTP2_SERVER_CONNECTIONS: usize = 64;

/// Most interim (1xx) answers to one request: a server that sends more is broken or hostile.
pub const INTERIM_RESPONSES: u32 = 8;

/// Most bytes of chunk extensions in one body. They carry nothing that we pass on.
pub const CHUNK_EXTENSION_BYTES: usize = 4 * 1024;

/// Most bytes of one body's trailer section.
pub const TRAILER_BYTES: usize = 16 * 1024;

/// Most bytes of a request's body that we read and throw away so that the connection can be kept after an
/// answer of our own; a larger rest closes the connection.
pub const DRAIN_BYTES: u64 = 64 * 1024;

/// Most options in the `Connection` fields of one message: each is compared with each field when the message is
/// passed on, and nobody needs more than a few.
pub const CONNECTION_OPTIONS: usize = 32;

/// Longest glob of a path: the places in it that a path may have led to, its end included, are the bits of one number.
pub const GLOB_BYTES: usize = 127;

/// Bytes of an answer's head that we read from a server: more than clients accept is a server gone wrong.
pub const SERVER_HEAD_BYTES: usize = 64 * 1024;

/// Fields of an answer's head: room for a server that sets a cookie in each of many parts of a page.
pub const SERVER_FIELDS: usize = 256;

/// Bytes of formatted log lines that wait in one worker before they are handed over.
pub const LOG_BATCH_BYTES: usize = 32 * 1024;

/// Bytes of the latest log lines that are kept for whoever looks at them: some thousand lines, of which a page shows few.
pub const LOG_TAIL_BYTES: usize = 1024 * 1024;

/// Log lines that are shown at once: more than anybody reads, and a page stays small.
pub const LOG_TAIL_LINES: usize = 200;

/// Batches that wait for the log's writer; past it, lines are dropped and counted.
pub const LOG_BATCHES: usize = 256;

/// Commands that wait for one worker: a reload sends few, and waits for each.
pub const WORKER_COMMANDS: usize = 16;

/// Events that wait for the supervisor: results of probes and look-ups, signals, orders. Who finds it full waits, which
/// a probe can.
pub const CONTROL_EVENTS: usize = 1024;

/// Bytes that the readers of pages passing through one worker may take: eighty pages in brotli at once, over a
/// hundred that are compressed otherwise, or thousands of plain ones. Past it a page passes unread, and is counted.
pub const PAGE_READER_BYTES: usize = 64 * 1024 * 1024;

/// Finds in one page whose surroundings are looked at, some microseconds each: a page has one session, and a second look
/// at the same id is not taken. Past it the page is searched no further.
pub const PAGE_LOOKS: usize = 512;

/// Most learned sessions of one pool: a gigabyte of memory.
pub const SESSIONS_PER_POOL: u32 = 16 * 1024 * 1024;

/// Most sessions that one listing shows: more are for a file, not for an eye.
pub const SESSIONS_LISTED: usize = 10_000;

/// Reports of failed exchanges that wait for the health keeper; past it they are dropped and counted, since a
/// flood of failures says the same as a handful.
pub const TRAFFIC_REPORTS: usize = 4096;

/// Idle connections to one server that one worker keeps: as many as a busy worker has requests under way to it at once.
/// Fewer would be closed and opened anew with each wave of requests. Where descriptors run short, all of them go.
pub const IDLE_SERVER_CONNECTIONS: usize = 8192;

/// The same of connections that only one client may use, whom the server was told of: that one may be gone.
pub const IDLE_OWNED_CONNECTIONS: usize = 256;

/// Bytes read of a check's answer in search of the expected text.
pub const CHECK_BODY_BYTES: usize = 64 * 1024;

/// Most bytes of one configuration file: a larger one is a mistake, such as a log given as a config.
pub const CONFIG_FILE_BYTES: usize = 16 * 1024 * 1024;

/// Deepest nesting of `include`.
pub const INCLUDE_DEPTH: usize = 8;

/// Deepest nesting of blocks.
pub const BLOCK_DEPTH: usize = 16;

/// Most bytes of one error page: each is held in memory.
pub const ERROR_PAGE_BYTES: usize = 256 * 1024;

/// Most bytes of a request to the control socket.
pub const CONTROL_REQUEST_BYTES: usize = 1024 * 1024;

/// Bytes of the head of a request to the control socket: our own client sends about a hundred.
pub const CONTROL_HEAD_BYTES: usize = 16 * 1024;

/// Most bytes that the control client reads: the status of some tens of thousands of servers.
pub const CONTROL_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Connections to the control socket at once: operators and scripts are few, and each holds a descriptor that
/// traffic could use.
pub const CONTROL_CONNECTIONS: usize = 32;

/// Rates that are remembered of each listener, pool and server, one for each five seconds: what a small graph shows.
pub const LIVE_RATES: usize = 60;

/// Histograms that are remembered of each listener, pool and server that has traffic, one for each fifteen seconds: a minute
/// of them, so that percentiles follow what happens.
pub const LIVE_LATENCIES: usize = 4;

/// Steps of five minutes of which is remembered what a server was held for: a day of them.
pub const DAY_STEPS: usize = 288;

/// Events that are kept for whoever comes back: days of a quiet node, minutes of one on which everything fails.
pub const EVENTS_KEPT: usize = 2048;

/// Events that wait for one watcher; past it the watcher is too slow, is told so and comes back.
pub const EVENTS_WAITING: usize = 256;

/// Configurations that the history keeps: weeks of a quiet site, and a bad afternoon.
pub const HISTORY_KEPT: u64 = 20;

/// Diagnostics of one report: more than anybody mends before the next look, and some ten kilobytes in the answer to a reload
/// whose file is no configuration. The rest is counted.
pub const DIAGNOSTICS_SHOWN: usize = 100;

/// Diagnostics of one configuration from which on an unknown word is no longer compared with all that are known: the file is
/// none, and no report shows that many.
pub const DIAGNOSTICS_HELPED: usize = 1000;

/// Bytes of one text of a diagnostic: several times the longest that this program says by itself. What it quotes is longer
/// only where no configuration was given, but an archive or a key in one line.
pub const DIAGNOSTIC_BYTES: usize = 4096;

/// Pairs of lines that are compared for the difference of two texts, 4 bytes each: files of some two thousand lines that
/// differ throughout. Past it, what differs is shown whole.
pub const DIFF_CELLS: usize = 4_000_000;

/// Characters of an operator's reason: a line of `status`.
pub const INTENT_WHY_CHARS: usize = 200;

/// Connections to the admin listener at once, of which one address may have a quarter: a dashboard takes a few, a
/// scraper one, and each holds a descriptor that traffic could use.
pub const ADMIN_CONNECTIONS: usize = 128;

/// Viewers of the stream of events at once: each holds a connection for as long as a page is open.
pub const ADMIN_VIEWERS: usize = 32;

/// Sources of wrong passwords that are remembered; past it the one that has waited longest is forgotten.
pub const ADMIN_SOURCES: usize = 4096;

/// People signed in at once: a session is a few dozen bytes, and a team is smaller.
pub const ADMIN_LOGINS: usize = 1024;

/// Passwords hashed at once: each takes a core and 19 MiB for some 20 ms.
pub const ADMIN_HASHES: usize = 2;

/// Descriptors asked for where the configuration leaves it to the system: half a million proxied connections, and
/// what systemd allows a service that asks (`LimitNOFILE`). A container's limit may be a thousand times as much.
pub const DESCRIPTORS: u64 = 1024 * 1024;

/// Bytes of one syslog message; longer lines are cut. RFC 5424 section 6.1 has every receiver take 480 and
/// should-take 2048; common daemons take 8 KiB by default.
pub const SYSLOG_BYTES: usize = 8 * 1024;

/// Longest chain of CNAME and DNAME records followed for one DNS query: resolvers give up at about as many, and a
/// longer one is a loop or a trap.
pub const DNS_CHAIN: usize = 16;

/// Most bytes of a DNS answer over UDP, whatever the client offers: what passes every path without fragments.
pub const DNS_UDP_BYTES: usize = 1232;

/// Most places in one DNS message that later names may point at. Past it names are written in full, so that the
/// time to write a message grows with its length only.
pub const DNS_COMPRESSION_PLACES: usize = 128;

/// Most EDNS options read from one query: more carry nothing for us and cost time.
pub const DNS_EDNS_OPTIONS: usize = 32;

/// Most records that one `$GENERATE` line makes: a /16 of them.
pub const DNS_GENERATE_RECORDS: usize = 65_536;

/// Most records in one zone: they are held in memory.
pub const DNS_ZONE_RECORDS: usize = 4_000_000;

/// Most bytes of one zone file with everything it includes.
pub const DNS_ZONE_BYTES: usize = 512 * 1024 * 1024;

/// Most problems reported for one zone file: past it the rest is noise.
pub const DNS_ZONE_PROBLEMS: usize = 200;

/// Most addresses that a balanced answer holds: more do not fit a datagram.
pub const DNS_BALANCED_ADDRESSES: usize = 32;

/// Most lines of one parked record of the zone-file checker: an address in parentheses needs no more.
pub const DNS_PARKED_LINES: usize = 16;

/// Counts that one thread keeps to limit responses, 24 bytes each: five for a client, so that some ten thousand
/// forged addresses a second do not wash each other out.
pub const DNS_RATE_BUCKETS: usize = 65_536;

/// Different limits on responses that `dns` blocks may have: each thread counts by each of them, a megabyte and a half.
pub const DNS_RATE_RULES: usize = 16;

/// Most nodes of one cluster: each one's echoes have to fit into one heartbeat, and that into one frame.
pub const CLUSTER_NODES: usize = 16;

/// Most groups of one cluster: their lines share the frame with the echoes.
pub const CLUSTER_GROUPS: usize = 24;

/// Most paths between two nodes: two networks and a spare each for IPv4 and IPv6.
pub const CLUSTER_PATHS: usize = 4;

/// Most resources of one group: they start one after the other, and a longer list takes longer than anybody waits.
pub const GROUP_RESOURCES: usize = 32;

/// Most keys that a node accepts at once: the one that signs, the one before it, the one after it.
pub const CLUSTER_KEYS: usize = 3;

/// Heartbeats whose time of sending a node remembers: an echo older than these proves nothing any more.
pub const CLUSTER_SENT: usize = 256;

/// Boots of one peer that a node weighs before one of them has proved itself; somebody who replays old heartbeats
/// fills these places at most.
pub const CLUSTER_CANDIDATES: usize = 4;

/// Commands that wait for the heartbeat thread, which takes them many times a second.
pub const CLUSTER_COMMANDS: usize = 256;

/// What the heartbeat thread has to tell and finds no room for: some seconds of a cluster in which everything fails.
pub const CLUSTER_UNTOLD: usize = 256;

/// Calls of other nodes that have not said yet who they are: one for each path of each, and some that were broken off.
pub const CLUSTER_CALLS: usize = 64;

/// Bytes of what one node tells another at a time: a thousand sessions, and their pool's name.
pub const SHARED_FRAME: usize = 256 * 1024;

/// Bytes of one paper that a node tells the others: an order and a verdict for each of ten thousand servers, or some five
/// hundred certificates with their chains and keys.
pub const SHARED_PAPER: usize = 4 * 1024 * 1024;

/// Orders that were lifted and are remembered, so that another node that missed it does not bring them back: as many as
/// a large cluster's operators give in a year.
pub const INTENT_MARKS: usize = 4096;

/// Secrets of session tokens that the nodes of a cluster know from one another: one that each node made for itself.
pub const TOKEN_SECRETS: usize = CLUSTER_NODES;

/// Connections that begin while an address moves and are told from those before: more in half a minute than one machine
/// of our users' gets, and some megabytes.
pub const PASSING_FLOWS: usize = 131_072;

/// Moves of a group to this node that are remembered: those of the last bad night.
pub const GROUP_MOVES: usize = 16;

/// Service addresses that leave a machine at one time: every request looks through them.
pub const LEAVING_ADDRESSES: usize = 16;

/// Attempts to stop a resource before the group counts as stuck.
pub const GROUP_STOP_ATTEMPTS: u8 = 3;

/// Most bytes of one file that the zone-file checker looks at: it is held in memory twice.
pub const ZONEFILE_BYTES: usize = 64 * 1024 * 1024;

/// Most files that one `zonefile` block looks through: a directory with more is not one of zones.
pub const ZONEFILE_FILES: usize = 10_000;

/// Deepest directory below one that is named for the zone-file checker.
pub const ZONEFILE_DEPTH: usize = 8;

/// Probes of the zone-file checker at once: each holds a descriptor that traffic could use.
pub const ZONEFILE_PROBES: usize = 128;

/// How often a target that is about to change is asked again within one round.
pub const ZONEFILE_REPEATS: usize = 30;

/// How often a file that an editor changed meanwhile is planned anew within one round.
pub const ZONEFILE_REPLANS: usize = 8;

/// Bytes kept of what a command says on each of its outputs: enough for the sentence that says why.
pub const COMMAND_SAID_BYTES: usize = 4096;

/// Characters of a command's line that stand in a sentence of ours: it has to fit into a log's line and a column.
pub const COMMAND_LINE_CHARS: usize = 200;

/// Bytes of what the address guard reports at a time: a command's line and two of the longest paths, each byte of them
/// written as six.
pub const GUARD_REPORT_BYTES: usize = 64 * 1024;

/// Other owners of one service address that are told of in a minute: who makes up Ethernet addresses fills no log.
pub const OTHER_OWNERS: usize = 4;

/// Orders that wait for one resource: the step that is under way, the one after it, and what came too late.
pub const RESOURCE_ORDERS: usize = 8;

/// Orders that wait for the zone-file checker: one for each reload.
pub const ZONEFILE_ORDERS: usize = 16;

/// Zones whose queries are counted one by one, in every thread that answers: eight bytes each.
pub const DNS_COUNTED_ZONES: usize = 1024;

/// Datagrams that one system call brings: more would only make the first ones wait, fewer cost more calls.
pub const DNS_BATCH: usize = 32;

/// Bytes of a DNS query over UDP: names, options and a signature together are far below; a longer one is dropped.
pub const DNS_QUERY_BYTES: usize = 2048;

/// Commands that wait for one DNS thread: reloads and changes of verdicts send few.
pub const DNS_COMMANDS: usize = 64;

/// Bytes of records put into one message of a zone's transfer: names can be shortened in the first 16 KiB only.
pub const DNS_TRANSFER_BYTES: usize = 16 * 1024;

/// Notices to secondaries and looks at delegations under way at one time, a socket each; the others wait.
pub const DNS_ERRANDS: usize = 64;

/// Those of them that are with one secondary or resolver: one that is silent for a minute leaves room for eight others.
pub const DNS_PARTY_ERRANDS: usize = 8;

/// Times that a secondary server is told of a change: with doubled pauses, about a minute.
pub const DNS_NOTIFY_TRIES: u32 = 6;

/// Most bytes of a PROXY header of version 2: addresses and values take a few hundred, and a certificate's name or a
/// cloud's own values some more.
pub const PROXY_HEADER_BYTES: usize = 4 * 1024;

/// Most bytes of a TLS hello that is read for its name: hellos with keys that withstand quantum computers take two
/// thousand, and with tickets and padding up to four times that.
pub const HELLO_BYTES: usize = 16 * 1024;

/// Most extensions of a TLS hello: clients send about twenty, and each is compared with those before it.
pub const HELLO_EXTENSIONS: usize = 64;

/// TLS handshakes under way in one worker: each holds some ten kilobytes, and one that is honest is over within a few round
/// trips. Past it the longest one ends.
pub const TLS_HANDSHAKES: usize = 4096;

/// Bytes of a file of certificates: a bundle of all the authorities that browsers believe has a quarter of it.
pub const CERTIFICATE_FILE_BYTES: u64 = 1024 * 1024;

/// Hosts of one certificate that an authority is asked for: the customary one refuses more.
pub const ACME_HOSTS: usize = 100;

/// Bytes of an authority's answer: a chain of certificates has some kilobytes.
pub const ACME_ANSWER_BYTES: usize = 256 * 1024;

/// Texts that are shown to authorities at a time: one for each host of an order that is under way.
pub const ACME_TEXTS: usize = 4096;
