//! Every bound on a queue, table, buffer or retry that is not a word of the configuration, each with its reason.

/// Longest name of a pool or server, in bytes: fits a label of metrics and a column of `status`.
pub const NAME_BYTES: usize = 64;

/// Most servers in one pool. Tables of balancing are rebuilt at each change of verdict, and the set of servers
/// already tried by a request is a bit set of this size.
pub const SERVERS_PER_POOL: usize = 1024;

/// Most requests that wait for a slot of one pool, whatever `queue` says: each holds a connection and a buffer.
pub const QUEUE_PER_POOL: u32 = 65_536;

/// Bytes of the buffer that a connection holds while bytes are in flight: the largest head plus room for
/// the fields that we add.
pub const CONNECTION_BUFFER: usize = 18 * 1024;

/// Bytes of the buffer used to move bodies: big enough that a large answer costs few system calls, small enough
/// to stay in the processor's second cache.
pub const BODY_BUFFER: usize = 64 * 1024;

/// Most free buffers of each kind that a worker keeps for reuse; above it they go back to the allocator.
pub const FREE_BUFFERS_PER_WORKER: usize = 256;

/// Most interim (1xx) answers to one request: a server that sends more is broken or hostile.
pub const INTERIM_RESPONSES: u32 = 8;

/// Most bytes of chunk extensions in one body. They carry nothing that we pass on.
pub const CHUNK_EXTENSION_BYTES: usize = 4 * 1024;

/// Most bytes of one body's trailer section.
pub const TRAILER_BYTES: usize = 16 * 1024;

/// Most bytes of a request's body that we read and throw away so that the connection can be kept after an
/// answer of our own; a larger rest closes the connection.
pub const DRAIN_BYTES: u64 = 64 * 1024;

/// Bytes of formatted log lines that wait in one worker before they are handed over.
pub const LOG_BATCH_BYTES: usize = 32 * 1024;

/// Batches that wait for the log's writer; past it, lines are dropped and counted.
pub const LOG_BATCHES: usize = 256;

/// Commands that wait for one worker: a reload sends few, and waits for each.
pub const WORKER_COMMANDS: usize = 16;

/// Reports of failed exchanges that wait for the health keeper; past it they are dropped and counted, since a
/// flood of failures says the same as a handful.
pub const TRAFFIC_REPORTS: usize = 4096;

/// Idle connections to one server that one worker keeps.
pub const IDLE_SERVER_CONNECTIONS: usize = 256;

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
