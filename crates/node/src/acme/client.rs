//! HTTPS to an authority: a connection for each request, all of it within a time.
//!
//! What the ACME library asks arrives over a channel, because our streams stay on the thread that opened them. The
//! invariant: an answer is bounded in bytes and in time, and comes from whom the configuration believes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::clock;
use evenkeel_net::resolve::Resolver;
use evenkeel_net::stream::Stream;
use evenkeel_net::tls::{self, Connector, Opening};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a request may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an address may take to be connected to.
const CONNECT_PATIENCE: Duration = Duration::from_secs(8);

/// The port of HTTPS.
const PORT: u16 = 443;

type Answered = (hyper::http::response::Parts, Bytes);

/// A request, and where its answer goes.
type Question = (Request<BodyWrapper<Bytes>>, oneshot::Sender<Result<Answered, String>>);

/// The library's end of the channel.
#[derive(Clone)]
pub(super) struct Asking(mpsc::Sender<Question>);

/// Asks an authority.
pub(super) struct Http {
    questions: mpsc::Receiver<Question>,
    connector: Connector,
    resolver: Resolver,
    /// What was seen on the way.
    pub(super) seen: Seen,
}

/// What was seen of an authority beside its answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// How long it said to wait, when it refused something last.
    pub(super) wait: Option<Duration>,
    /// Whether the last request came to no answer.
    pub(super) is_unreached: bool,
}

/// Both ends.
pub(super) fn pair(connector: Connector, resolver: Resolver) -> (Asking, Http) {
    // One asks, and waits for the answer before the next.
    let (ask, questions) = mpsc::channel(1);
    (Asking(ask), Http { questions, connector, resolver, seen: Seen::default() })
}

impl HttpClient for Asking {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let ask = self.0.clone();
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let gone = || Error::Str("somebody who asks");
            ask.send((request, reply)).await.map_err(|_| gone())?;
            let (parts, body) = answer.await.map_err(|_| gone())?.map_err(|cause| Error::Other(cause.into()))?;
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

impl Http {
    /// Answers what is asked for as long as `work` takes.
    pub(super) async fn serve<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let (request, reply) = tokio::select! {
                biased;
                done = &mut work => return done,
                Some(question) = self.questions.recv() => question,
            };
            let answered = match timeout(PATIENCE, self.exchange(request)).await {
                Ok(answered) => answered,
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            self.seen.is_unreached = answered.is_err();
            if let Ok((parts, _)) = &answered
                && (parts.status.is_client_error() || parts.status.is_server_error())
            {
                self.seen.wait = parts.headers.get(RETRY_AFTER).and_then(told);
            }
            // Who asked may have given up.
            let _ = reply.send(answered);
        }
    }

    async fn exchange(&self, mut request: Request<BodyWrapper<Bytes>>) -> Result<Answered, String> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or_else(|| format!("`{uri}` names no host"))?.trim_matches(['[', ']']).to_owned();
        if uri.scheme_str() != Some("https") {
            return Err(format!("`{uri}` is not HTTPS"));
        }
        let port = uri.port_u16().unwrap_or(PORT);
        let authority = uri.authority().map_or(host.as_str(), |authority| authority.as_str());
        let named = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
        request.headers_mut().insert(HOST, named);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|_| format!("`{uri}` is no URL"))?;
        let stream = self.connect(&host, port).await?;
        let handshake = hyper::client::conn::http1::handshake(Wire(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| format!("{host}: {error}"))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| format!("{host}: {error}"))?;
            whole(answer).await.map_err(|cause| format!("{host}: {cause}"))
        };
        tokio::pin!(connection, exchange);
        let mut is_over = false;
        loop {
            tokio::select! {
                biased;
                answered = &mut exchange => return answered,
                // What is said last may still be on its way to who reads it.
                _ = &mut connection, if !is_over => is_over = true,
            }
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Stream, String> {
        let name = Connector::name_of(host)?;
        let found = self.resolver.lookup(host).await.map_err(|error| error.to_string())?;
        let mut last = format!("{host} has no address");
        for addr in found.addrs {
            match tls::connect_to((addr, port).into(), &self.connector, &name, Opening::default(), CONNECT_PATIENCE)
                .await
            {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("{host} at {addr}, port {port}: {}", crate::origin::words(&error.source)),
            }
        }
        Err(last)
    }
}

/// How long a refusal says to wait: seconds, or a date (RFC 9110 section 10.2.3).
fn told(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(clock::unix_now()))
}

async fn whole(answer: Response<Incoming>) -> Result<Answered, String> {
    let (parts, mut body) = answer.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > caps::ACME_ANSWER_BYTES {
            return Err(format!("its answer is longer than {} bytes", caps::ACME_ANSWER_BYTES));
        }
    }
    Ok((parts, Bytes::from(bytes)))
}

/// A stream as the HTTP client takes it.
struct Wire(Stream);

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut room: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let most = room.remaining().min(bytes.len());
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(bytes.get_mut(..most).unwrap_or_default()) {
                Ok(count) => {
                    room.put_slice(bytes.get(..count).unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown_write())
    }
}
