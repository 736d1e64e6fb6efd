//! What of gRPC a balancer has to know: which requests are calls, and how a call is told that it failed here.
//!
//! Not here: messages, which pass as they come. Statuses and their numbers are those of gRPC's protocol description.

/// Whether a request with that `Content-Type` is a call by gRPC itself, and not by its form for browsers, which carries
/// its own statuses in its body.
pub fn is_call(content_type: Option<&[u8]>) -> bool {
    const CALL: &[u8] = b"application/grpc";
    let rest = |given: &[u8]| {
        let (name, rest) = given.split_at_checked(CALL.len())?;
        name.eq_ignore_ascii_case(CALL).then(|| matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t')))
    };
    content_type.and_then(rest).unwrap_or(false)
}

/// The status of a call that an answer of this HTTP status stands for ("HTTP to gRPC Status Code Mapping").
pub fn status_of(http: u16) -> &'static str {
    match http {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_type() {
        for (text, wanted) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_call(Some(text.as_bytes())), wanted, "{text}");
        }
        assert!(!is_call(None));
    }

    #[test]
    fn what_clients_may_try_again_is_unavailable() {
        assert!([502, 503, 504, 429].iter().all(|http| status_of(*http) == "14"));
        assert_eq!((status_of(404), status_of(400), status_of(418)), ("12", "13", "2"));
    }
}
