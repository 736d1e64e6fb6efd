//! Why a message is refused: one variant for each cause, with a stable word for counters and logs.
//!
//! Not here: what happens to the connection. After any of these errors neither connection that the message touched
//! may carry another one, since nobody knows where the next message begins.

use std::fmt;

macro_rules! causes {
    ($(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident, $status:literal, $code:literal, $text:literal; )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$vdoc])* $variant, )*
        }

        impl $name {
            /// Every cause, for tables of counters.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The status of the answer that tells the client.
            pub fn status(self) -> u16 {
                match self {
                    $( Self::$variant => $status, )*
                }
            }

            /// The cause in one stable word, for counters and logs.
            pub fn code(self) -> &'static str {
                match self {
                    $( Self::$variant => $code, )*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $( Self::$variant => $text, )*
                })
            }
        }

        impl std::error::Error for $name {}
    };
}

causes! {
    /// Why a request's head is refused.
    RequestError {
        /// A line ends without carriage return, or a carriage return stands elsewhere (RFC 9112 section 2.2).
        BadLineEnd, 400, "bad-line-end", "a line of the request does not end in CR LF";
        /// The first line is not method, target and version with one blank between.
        BadRequestLine, 400, "bad-request-line", "the request line is not `method target HTTP/1.1`";
        /// The method is not a token.
        BadMethod, 400, "bad-method", "the request's method is not a token";
        /// CONNECT or TRACE.
        MethodRefused, 405, "method-refused", "the methods CONNECT and TRACE are not served";
        /// The target has bytes that no target may have, or no form that fits the method.
        BadTarget, 400, "bad-target", "the request's target has a byte or a form that targets may not have";
        /// The path has an escape that servers read in different ways.
        BadPath, 400, "bad-path", "the request's path has an escape or segment that servers read in different ways";
        /// The target is longer than the bound.
        TargetTooLong, 414, "target-too-long", "the request's target is longer than `max.target`";
        /// The version is malformed.
        BadVersion, 400, "bad-version", "the request's version is malformed";
        /// The version is not ours to speak.
        UnknownVersion, 505, "unknown-version", "the request's version is neither HTTP/1.0 nor HTTP/1.1";
        /// The head is longer than the bound.
        HeadTooLong, 431, "head-too-long", "the request's head is longer than `max.head`";
        /// The head has more fields than the bound.
        TooManyFields, 431, "too-many-fields", "the request has more fields than `max.fields`";
        /// A field's name is not a token directly followed by a colon.
        BadFieldName, 400, "bad-field-name", "a field's name is not a token followed by a colon";
        /// A field's value has a control character.
        BadFieldValue, 400, "bad-field-value", "a field's value has a control character";
        /// A field line begins with a blank (obsolete folding).
        FoldedField, 400, "folded-field", "a field line begins with a blank";
        /// HTTP/1.1 without a `Host`.
        MissingHost, 400, "missing-host", "an HTTP/1.1 request has no Host";
        /// More than one `Host`.
        RepeatedHost, 400, "repeated-host", "the request has more than one Host";
        /// The host is malformed.
        BadHost, 400, "bad-host", "the request's host is not a host name or address with an optional port";
        /// The target's host and the `Host` field differ.
        HostMismatch, 400, "host-mismatch", "the target's host and the Host field differ";
        /// A length that is not one plain number.
        BadContentLength, 400, "bad-content-length", "Content-Length is not one plain decimal number";
        /// More than one length.
        RepeatedContentLength, 400, "repeated-content-length", "the request has more than one Content-Length";
        /// A transfer coding in a form that parsers read in different ways.
        BadTransferEncoding, 400, "bad-transfer-encoding", "Transfer-Encoding is not the one word `chunked`";
        /// A transfer coding that we do not speak.
        UnknownTransferEncoding, 501, "unknown-transfer-encoding", "a transfer coding other than `chunked` is not served";
        /// Two framings at a time.
        ConflictingFraming, 400, "conflicting-framing", "the request has both Content-Length and Transfer-Encoding";
        /// A `Connection` field that is not a short list of tokens.
        BadConnection, 400, "bad-connection", "Connection is not a short list of tokens";
        /// An expectation other than `100-continue`.
        UnknownExpectation, 417, "unknown-expectation", "an expectation other than `100-continue` is not served";
    }
}

causes! {
    /// Why the head of a request that came in a stream of HTTP/2 is refused before it becomes an HTTP/1.1 head. What that
    /// head itself is refused for is a [`RequestError`].
    StreamError {
        /// The method is not a token.
        BadMethod, 400, "http2-bad-method", "the request's method is not a token";
        /// A pseudo-field is missing, or does not belong.
        BadPseudoField, 400, "http2-bad-pseudo-field", "the request's pseudo-fields are not those that its method has";
        /// The scheme is neither http nor https.
        BadScheme, 400, "http2-bad-scheme", "`:scheme` is neither `http` nor `https`";
        /// The authority has bytes that no line can hold.
        BadAuthority, 400, "http2-bad-authority", "`:authority` has a control character or a blank at an end";
        /// The path has bytes that no request line can hold, or does not begin with a slash.
        BadPath, 400, "http2-bad-path", "`:path` does not begin with a slash, or has a blank or control character";
        /// A CONNECT for another protocol than WebSocket.
        UnknownProtocol, 501, "http2-unknown-protocol", "`:protocol` is not `websocket`, the only one that is switched to";
        /// More fields than the bound, each crumb of a cookie counted.
        TooManyFields, 431, "http2-too-many-fields", "the request has more fields than `max.fields`";
        /// A field's name is not a token in lower case.
        BadFieldName, 400, "http2-bad-field-name", "a field's name is not a token in lower case";
        /// A field's value has a control character, or a blank at an end.
        BadFieldValue, 400, "http2-bad-field-value", "a field's value has a control character or a blank at an end";
        /// A field that is about an HTTP/1.1 connection.
        ConnectionField, 400, "http2-connection-field", "a field of HTTP/1.1 connections stands in a stream's head";
        /// The status of an answer is none.
        BadStatus, 502, "http2-bad-status", "the answer's status is not one of 100 to 599";
        /// The stream ends where its length says that a body comes.
        LengthMismatch, 400, "http2-length-mismatch", "the stream's length is not what Content-Length says";
    }
}

causes! {
    /// Why an answer's head is refused. The client is told 502 whatever the cause.
    ResponseError {
        /// A line ends without carriage return, or a carriage return stands elsewhere.
        BadLineEnd, 502, "bad-line-end", "a line of the answer does not end in CR LF";
        /// The first line is not a version, a status and a reason.
        BadStatusLine, 502, "bad-status-line", "the answer does not begin with `HTTP/1.1` and a status of 100 to 599";
        /// The version is not ours to speak.
        UnknownVersion, 502, "unknown-version", "the answer's version is neither HTTP/1.0 nor HTTP/1.1";
        /// The head is longer than the bound.
        HeadTooLong, 502, "head-too-long", "the answer's head is too long";
        /// The head has more fields than the bound.
        TooManyFields, 502, "too-many-fields", "the answer has too many fields";
        /// A field's name is not a token directly followed by a colon.
        BadFieldName, 502, "bad-field-name", "a field's name is not a token followed by a colon";
        /// A field's value has a control character.
        BadFieldValue, 502, "bad-field-value", "a field's value has a control character";
        /// A field line begins with a blank (obsolete folding).
        FoldedField, 502, "folded-field", "a field line begins with a blank";
        /// A length that is not one plain number.
        BadContentLength, 502, "bad-content-length", "Content-Length is not one plain decimal number";
        /// More than one length.
        RepeatedContentLength, 502, "repeated-content-length", "the answer has more than one Content-Length";
        /// A transfer coding other than `chunked`, or one on HTTP/1.0.
        BadTransferEncoding, 502, "bad-transfer-encoding", "Transfer-Encoding is not the one word `chunked` on HTTP/1.1";
        /// Two framings at a time.
        ConflictingFraming, 502, "conflicting-framing", "the answer has both Content-Length and Transfer-Encoding";
        /// A `Connection` field that is not a short list of tokens.
        BadConnection, 502, "bad-connection", "Connection is not a short list of tokens";
        /// 101 without having been asked, or to another protocol.
        UnaskedSwitch, 502, "unasked-switch", "the server switched protocols without being asked, or to another one";
    }
}

causes! {
    /// Why a body is refused. The status is what a client is told about its own body; a server's broken body after
    /// the head was passed on can only be answered by closing.
    BodyError {
        /// A chunk's size is not hexadecimal digits, or too large.
        BadChunkSize, 400, "bad-chunk-size", "a chunk's size is not 1 to 16 hexadecimal digits below 2^63";
        /// A chunk's size line or data does not end in CR LF.
        BadChunkEnd, 400, "bad-chunk-end", "a chunk's size line or data does not end in CR LF";
        /// A chunk extension is malformed.
        BadChunkExtension, 400, "bad-chunk-extension", "a chunk extension is not `;name=value`";
        /// More chunk extensions than the bound.
        ChunkExtensionsTooLong, 400, "chunk-extensions-too-long", "the body's chunk extensions exceed 4 KiB";
        /// A trailer field is malformed.
        BadTrailer, 400, "bad-trailer", "a trailer field is malformed";
        /// More trailers than the bound.
        TrailersTooLong, 431, "trailers-too-long", "the body's trailer section exceeds 16 KiB";
        /// The connection ended before the body.
        Truncated, 400, "truncated-body", "the connection ended before the body did";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_words() {
        let lists = [
            RequestError::ALL.iter().map(|e| e.code()).collect::<Vec<_>>(),
            StreamError::ALL.iter().map(|e| e.code()).collect(),
            ResponseError::ALL.iter().map(|e| e.code()).collect(),
            BodyError::ALL.iter().map(|e| e.code()).collect(),
        ];
        for mut codes in lists {
            assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'2')));
            let all = codes.len();
            codes.sort_unstable();
            codes.dedup();
            assert_eq!(codes.len(), all);
        }
    }
}
