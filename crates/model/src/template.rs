//! Texts with `$variables` in them: log formats, header values, redirect targets, answers.

/// A text with variables, parsed once when the configuration is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// The parts in written order.
    pub parts: Vec<TemplatePart>,
}

impl Template {
    /// A template without variables.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![TemplatePart::Text(text.to_owned())] }
    }
}

/// One piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Literal text.
    Text(String),
    /// The value of a variable at the time of use; `-` in logs where it has none, empty elsewhere.
    Variable(Variable),
}

macro_rules! variables {
    ($( $(#[$doc:meta])* $variant:ident = $word:literal, $phase:ident; )*) => {
        /// A `$variable` of a [`Template`].
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Variable {
            $( $(#[$doc])* $variant, )*
            /// `$request.NAME`: a field of the request as it arrived, by lower-case name.
            RequestField(String),
            /// `$response.NAME`: a field of the answer as it was sent, by lower-case name. Logs only.
            ResponseField(String),
            /// `$cookie.NAME`: a cookie of the request.
            Cookie(String),
            /// `$query.NAME`: a parameter of the request's query, as written (not decoded).
            Query(String),
        }

        impl Variable {
            /// Every variable that takes no name, with its word and whether it is known before the answer.
            pub const PLAIN: &'static [(&'static str, Self, bool)] = &[
                $( ($word, Self::$variant, variables!(@ $phase)), )*
            ];
        }
    };
    (@ early) => { true };
    (@ late) => { false };
}

variables! {
    /// The client's address: the connection's, or the one a trusted proxy reported.
    Client = "client", early;
    /// The client's port on its connection to us.
    ClientPort = "client_port", early;
    /// The address of the connection's other end, trusted proxy or not.
    Peer = "peer", early;
    /// The `X-Forwarded-For` that the request came with.
    Xff = "xff", early;
    /// The user of HTTP Basic authentication, never the password.
    User = "user", early;
    /// `GET /path HTTP/1.1`: the request line as received.
    Request = "request", early;
    /// The request's method.
    Method = "method", early;
    /// The request's target as received: path and query.
    Target = "target", early;
    /// The target's path as received.
    Path = "path", early;
    /// The target's query without its `?`.
    QueryString = "query", early;
    /// The request's host without its port, in lower case.
    Host = "host", early;
    /// `http` or `https`.
    Scheme = "scheme", early;
    /// `HTTP/1.1`.
    Protocol = "protocol", early;
    /// The listener's name.
    Listener = "listener", early;
    /// The request's id: the client's, where it is trusted, or ours.
    RequestId = "request_id", early;
    /// The request's `traceparent` (W3C): the client's, or the one that `trace` began.
    TraceParent = "traceparent", early;
    /// The `Referer` field.
    Referer = "referer", early;
    /// The `User-Agent` field.
    UserAgent = "user_agent", early;
    /// `TLSv1.3`: the version of TLS that the client speaks.
    SslProtocol = "ssl_protocol", early;
    /// The cipher suite of the client's connection, as OpenSSL calls it.
    SslCipher = "ssl_cipher", early;
    /// The host that the client asked for in its handshake (SNI).
    SslServerName = "ssl_server_name", early;
    /// `h2`: the protocol inside of TLS that was agreed on with the client (ALPN).
    SslAlpnProtocol = "ssl_alpn_protocol", early;
    /// `r` where the client resumed a session of TLS, `.` where it began one.
    SslSessionReused = "ssl_session_reused", early;
    /// `SUCCESS` where the client showed a certificate that was verified, `NONE` where it showed none.
    SslClientVerify = "ssl_client_verify", early;
    /// The subject of the client's certificate, as RFC 4514 writes it: `CN=alice,O=Shop`.
    SslClientSubject = "ssl_client_s_dn", early;
    /// Who issued the client's certificate, written alike.
    SslClientIssuer = "ssl_client_i_dn", early;
    /// The serial number of the client's certificate, in hexadecimal digits.
    SslClientSerial = "ssl_client_serial", early;
    /// The SHA-256 digest of the client's certificate, in hexadecimal digits.
    SslClientFingerprint = "ssl_client_fingerprint", early;
    /// The time of the log line as `21/Nov/2026:01:12:43 +0000`.
    Time = "time", late;
    /// The time of the log line as `2026-11-21T01:12:43.123Z`.
    TimeIso = "time_iso", late;
    /// The time of the log line in seconds since 1970, with milliseconds.
    TimeUnix = "time_unix", late;
    /// The route that took the request, by its pattern.
    Route = "route", late;
    /// The pool that the request went to.
    Pool = "pool", late;
    /// The server that gave the answer.
    Server = "server", late;
    /// The address of that server.
    ServerAddr = "server_addr", late;
    /// The answer's status.
    Status = "status", late;
    /// The bytes sent to the client, head and body.
    Bytes = "bytes", late;
    /// The bytes of the answer's body.
    BodyBytes = "body_bytes", late;
    /// The bytes received from the client, head and body.
    BytesIn = "bytes_in", late;
    /// How the session was found: `hit`, `new`, `moved`, `lost` or `none`.
    Sticky = "sticky", late;
    /// What told where the client belongs: `token`, `name`, `digest`, `server`, `query`, `client` and their like.
    StickyBy = "sticky_by", late;
    /// Why the session was not found, or not served by its server: `foreign`, `expired`, `down`, `busy` and their like.
    StickyWhy = "sticky_why", late;
    /// How many servers were tried in vain before the one that answered.
    Retries = "retries", late;
    /// How the exchange ended, in words: `ok`, `client-abort`, `server-timeout`.
    End = "end", late;
    /// How many requests this connection has carried, this one included.
    ConnRequests = "conn_requests", late;
    /// Milliseconds from the request's first byte to the end of its head.
    TimeHead = "t_head", late;
    /// Milliseconds that the request waited in the pool's queue.
    TimeQueue = "t_queue", late;
    /// Milliseconds to connect to the server; 0 on a kept connection.
    TimeConnect = "t_connect", late;
    /// Milliseconds from the request's despatch to the first byte of the answer.
    TimeFirst = "t_first", late;
    /// Milliseconds from the request's first byte to the last byte of the answer.
    TimeTotal = "t_total", late;
}
