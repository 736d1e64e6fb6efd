//! A strict reader of requests, written from RFC 9112 for the tests alone: what a server must be able to count on.
//!
//! It shares nothing with the product's parser, so that both would have to be wrong in the same way. It reads what
//! stands behind a balancer, so that whatever two servers could read in two ways is a fault here, also where the RFC
//! lets it pass. The invariant: bytes are whole requests, or a beginning of one, or a [`Fault`].

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// None.
    None,
    /// By a length.
    Length,
    /// In chunks.
    Chunked,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The fields, in order, names as they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// How the body is framed.
    pub framing: Framing,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// Why bytes are not a request, in words.
pub type Fault = String;

/// What bytes begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// A whole request of so many bytes.
    Whole(Box<Request>, usize),
    /// A request whose head is there, without all of its body.
    Head(Box<Request>),
    /// Less than a head.
    Part,
}

/// Most bytes of a head.
const HEAD_BYTES: usize = 256 * 1024;

impl Request {
    /// The values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

/// Reads what the bytes begin with.
///
/// # Errors
/// What is wrong with them.
pub fn begin(bytes: &[u8]) -> Result<Begin, Fault> {
    let Some((mut request, at)) = head(bytes)? else { return Ok(Begin::Part) };
    let body = match request.framing {
        Framing::None => Some((Vec::new(), at)),
        Framing::Length => {
            let end = request.values("content-length").next().and_then(decimal).map(|length| at.saturating_add(length));
            end.and_then(|end| bytes.get(at..end).map(|body| (body.to_vec(), end)))
        }
        Framing::Chunked => match chunks(bytes, at)? {
            Some((body, trailers, end)) => {
                request.trailers = trailers;
                Some((body, end))
            }
            None => None,
        },
    };
    Ok(match body {
        Some((body, end)) => {
            request.body = body;
            Begin::Whole(Box::new(request), end)
        }
        None => Begin::Head(Box::new(request)),
    })
}

/// The line that begins at a place, and where the next begins. A line ends in CR LF and has neither of them inside.
fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Fault> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return Ok(None) };
    match rest.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Some((&rest[..end], at + end + 2))),
        Some([b'\r']) => Ok(None),
        _ => Err(format!("a line without CR LF: {}", rest[..rest.len().min(60)].escape_ascii())),
    }
}

fn head(bytes: &[u8]) -> Result<Option<(Request, usize)>, Fault> {
    let Some((first, mut at)) = line(bytes, 0)? else { return within(bytes) };
    let (method, target, version) = request_line(first)?;
    let mut fields = Vec::new();
    loop {
        let Some((text, next)) = line(bytes, at)? else { return within(bytes) };
        at = next;
        if text.is_empty() {
            break;
        }
        fields.push(field(text)?);
    }
    let mut request =
        Request { method, target, fields, framing: Framing::None, body: Vec::new(), trailers: Vec::new() };
    request.framing = framing(&request, version)?;
    let hosts: Vec<&[u8]> = request.values("host").collect();
    match hosts.as_slice() {
        [one] if one.iter().all(|byte| byte.is_ascii_graphic() && !b",@/\\?#".contains(byte)) => {
            Ok(Some((request, at)))
        }
        [_] => Err("a Host that is no host".to_owned()),
        _ => Err(format!("{} Host fields", hosts.len())),
    }
}

fn within(bytes: &[u8]) -> Result<Option<(Request, usize)>, Fault> {
    if bytes.len() > HEAD_BYTES { Err("a head without an end".to_owned()) } else { Ok(None) }
}

fn request_line(line: &[u8]) -> Result<(String, String, u8), Fault> {
    let shown = || format!("request line {}", line.escape_ascii());
    let text = std::str::from_utf8(line).map_err(|_| shown())?;
    let mut words = text.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(shown());
    };
    let version = match version {
        "HTTP/1.1" => 1,
        "HTTP/1.0" => 0,
        _ => return Err(shown()),
    };
    let is_target = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && (target.starts_with('/') || target == "*" && method == "OPTIONS");
    if !method.bytes().all(is_token_byte) || method.is_empty() || !is_target {
        return Err(shown());
    }
    Ok((method.to_owned(), target.to_owned(), version))
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), Fault> {
    let shown = || format!("field line {}", line.escape_ascii());
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(shown)?;
    let name = &line[..colon];
    let value = line[colon + 1..].trim_ascii();
    let is_value = value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    if name.is_empty() || !name.iter().copied().all(is_token_byte) || !is_value {
        return Err(shown());
    }
    Ok((String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

/// RFC 9112 section 6, without what it tolerates; and no field that a careless server takes for one that frames.
fn framing(request: &Request, version: u8) -> Result<Framing, Fault> {
    for (name, _) in &request.fields {
        let plain = name.replace('_', "-").to_ascii_lowercase();
        if name.contains('_') && matches!(plain.as_str(), "content-length" | "transfer-encoding") {
            return Err(format!("`{name}` may be taken for a framing field"));
        }
    }
    let lengths: Vec<&[u8]> = request.values("content-length").collect();
    let codings: Vec<&[u8]> = request.values("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::None),
        ([length], []) if decimal(length).is_some() => Ok(Framing::Length),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && version == 1 => Ok(Framing::Chunked),
        _ => {
            let shown: Vec<String> =
                lengths.iter().chain(&codings).map(|value| value.escape_ascii().to_string()).collect();
            Err(format!("framing by {} lengths and {} codings: {}", lengths.len(), codings.len(), shown.join(" ; ")))
        }
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    let is_plain = digits == b"0" || digits.first().is_some_and(|first| (b'1'..=b'9').contains(first));
    let text = std::str::from_utf8(digits).ok()?;
    (is_plain && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

type Chunked = (Vec<u8>, Vec<(String, Vec<u8>)>, usize);

/// RFC 9112 section 7.1; extensions are checked for being tokens and quoted texts without control characters.
fn chunks(bytes: &[u8], mut at: usize) -> Result<Option<Chunked>, Fault> {
    let mut body = Vec::new();
    loop {
        let Some((text, next)) = line(bytes, at)? else { return Ok(None) };
        let shown = || format!("chunk line {}", text.escape_ascii());
        let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&text[..digits]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.filter(|_| digits <= 15).ok_or_else(shown)?;
        let extension = &text[digits..];
        let is_extension = extension.iter().all(|byte| *byte >= b' ' && *byte != 0x7f || *byte == b'\t');
        if !(extension.is_empty() || extension.starts_with(b";") && extension.len() > 1 && is_extension) {
            return Err(shown());
        }
        at = next;
        if size == 0 {
            break;
        }
        let Some(data) = bytes.get(at..at + size) else { return Ok(None) };
        body.extend_from_slice(data);
        at += size;
        match bytes.get(at..) {
            Some([b'\r', b'\n', ..]) => at += 2,
            Some([] | [b'\r']) => return Ok(None),
            _ => return Err("a chunk without its end".to_owned()),
        }
    }
    let mut trailers = Vec::new();
    loop {
        let Some((text, next)) = line(bytes, at)? else { return Ok(None) };
        at = next;
        if text.is_empty() {
            return Ok(Some((body, trailers, at)));
        }
        let trailer = field(text)?;
        let name = trailer.0.replace('_', "-").to_ascii_lowercase();
        if matches!(name.as_str(), "content-length" | "transfer-encoding" | "host" | "authorization" | "cookie") {
            return Err(format!("`{}` as a trailer", trailer.0));
        }
        trailers.push(trailer);
    }
}

#[cfg(test)]
mod tests {
    use super::{Begin, Framing, begin};

    #[test]
    fn sound_requests_are_read_and_cut_ones_awaited() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\nrest";
        let Ok(Begin::Whole(request, length)) = begin(bytes) else { panic!("{:?}", begin(bytes)) };
        assert_eq!((request.body.as_slice(), request.framing), (&b"abc"[..], Framing::Chunked));
        assert_eq!(&bytes[length..], b"rest");
        for cut in 0..length {
            let got = begin(&bytes[..cut]);
            assert!(matches!(got, Ok(Begin::Part | Begin::Head(_))), "cut at {cut}: {got:?}");
        }
    }

    #[test]
    fn what_two_servers_may_read_in_two_ways_is_a_fault() {
        let cases: &[&str] = &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        ];
        for bytes in cases {
            assert!(begin(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
