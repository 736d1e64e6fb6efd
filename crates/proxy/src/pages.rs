//! Error pages: the operator's own from a directory, and a plain decent default.
//!
//! Not here: reading files (the composition root does) and sending (`respond`). The invariant: a page is chosen by
//! status and by what the client can read, most specific first, and there always is one.

use std::collections::HashMap;
use std::io::Write as _;

use evenkeel_http::status;

/// The pages of one directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorPages {
    files: HashMap<String, Vec<u8>>,
}

/// What a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A browser, or anything else that does not say.
    Html,
    /// A program that asks for JSON.
    Json,
}

impl Reader {
    /// What a client with this `Accept` field reads: JSON where it is named and HTML is not named before it.
    pub(crate) fn of(accept: Option<&[u8]>) -> Self {
        let Some(accept) = accept else { return Self::Html };
        let place = |needle: &[u8]| memchr::memmem::find(accept, needle);
        let json = [&b"application/json"[..], b"+json"].into_iter().filter_map(place).min();
        match (json, place(b"text/html")) {
            (Some(json), Some(html)) if json < html => Self::Json,
            (Some(_), None) => Self::Json,
            _ => Self::Html,
        }
    }

    /// The media type of a page.
    pub(crate) fn media_type(self) -> &'static [u8] {
        match self {
            Self::Html => b"text/html; charset=utf-8",
            Self::Json => b"application/problem+json",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
        }
    }
}

impl ErrorPages {
    /// Pages from files, by file name: `503.html`, `5xx.html`, `maintenance.html`, and the same with `.json`.
    /// Other names do no harm.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Self {
        Self { files: files.into_iter().collect() }
    }

    /// The most specific page for a status.
    pub(crate) fn find(&self, status: u16, is_maintenance: bool, reader: Reader) -> Option<&[u8]> {
        let extension = reader.extension();
        let maintenance = is_maintenance.then(|| format!("maintenance.{extension}"));
        let exact = format!("{status}.{extension}");
        let class = format!("{}xx.{extension}", status / 100);
        maintenance.into_iter().chain([exact, class]).find_map(|name| self.files.get(&name)).map(Vec::as_slice)
    }
}

/// Writes the house's own page.
pub(crate) fn write_default(out: &mut Vec<u8>, status: u16, reader: Reader, request_id: &[u8]) {
    let reason = status::reason(status);
    // Writing into a Vec cannot fail.
    let _ = match reader {
        Reader::Html => write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status} {reason}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:1.1em/1.5 system-ui,sans-serif;\
             margin:15vh auto;max-width:32em;padding:0 1em}}p{{color:#666}}</style></head><body><h1>{status} \
             {reason}</h1><p>{}</p>",
            sentence(status)
        )
        .map(|()| {
            if !request_id.is_empty() {
                out.extend_from_slice(b"<p><small>Request ");
                out.extend(request_id.iter().filter(|byte| is_plain(**byte)));
                out.extend_from_slice(b"</small></p>");
            }
            out.extend_from_slice(b"</body></html>\n");
        }),
        Reader::Json => {
            write!(out, "{{\"type\":\"about:blank\",\"status\":{status},\"title\":\"{reason}\"").map(|()| {
                if !request_id.is_empty() {
                    out.extend_from_slice(b",\"request_id\":\"");
                    out.extend(request_id.iter().filter(|byte| is_plain(**byte)));
                    out.push(b'"');
                }
                out.extend_from_slice(b"}\n");
            })
        }
    };
}

/// Bytes that mean nothing to HTML and JSON.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn sentence(status: u16) -> &'static str {
    match status {
        404 => "There is nothing at this address.",
        408 => "The request took too long to arrive.",
        413 => "The request is larger than this service accepts.",
        414 | 431 => "The address or the header of the request is too long.",
        421 => "This host name is not served here.",
        502 => "The service gave no usable answer. Please try again in a moment.",
        503 => "The service is not available right now. Please try again in a moment.",
        504 => "The service did not answer in time. Please try again in a moment.",
        400..=499 => "The request could not be understood or is not allowed.",
        _ => "Something went wrong on our side. Please try again in a moment.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_page_wins() {
        let pages = ErrorPages::new(
            ["503.html", "5xx.html", "maintenance.html", "5xx.json"]
                .into_iter()
                .map(|name| (name.to_owned(), name.as_bytes().to_vec()))
                .collect(),
        );
        for (status, is_maintenance, reader, wanted) in [
            (503, false, Reader::Html, Some("503.html")),
            (503, true, Reader::Html, Some("maintenance.html")),
            (502, false, Reader::Html, Some("5xx.html")),
            (503, false, Reader::Json, Some("5xx.json")),
            (503, true, Reader::Json, Some("5xx.json")),
            (404, false, Reader::Html, None),
        ] {
            let found = pages.find(status, is_maintenance, reader).map(|page| std::str::from_utf8(page).unwrap());
            assert_eq!(found, wanted, "{status} {is_maintenance} {reader:?}");
        }
    }

    #[test]
    fn a_client_reads_json_where_it_prefers_it() {
        for (accept, wanted) in [
            (None, Reader::Html),
            (Some("*/*"), Reader::Html),
            (Some("application/json"), Reader::Json),
            (Some("application/problem+json, */*"), Reader::Json),
            (Some("text/html, application/json"), Reader::Html),
            (Some("application/json, text/html"), Reader::Json),
        ] {
            assert_eq!(Reader::of(accept.map(str::as_bytes)), wanted, "{accept:?}");
        }
    }

    #[test]
    fn the_default_page_says_status_and_request_and_nothing_a_client_made_up() {
        let mut html = Vec::new();
        write_default(&mut html, 503, Reader::Html, b"ab-1<script>");
        let html = String::from_utf8(html).unwrap();
        assert!(html.contains("<h1>503 Service Unavailable</h1>"), "{html}");
        assert!(html.contains("ab-1script") && !html.contains("<script>"), "{html}");
        let mut json = Vec::new();
        write_default(&mut json, 404, Reader::Json, b"a\"b");
        assert_eq!(
            String::from_utf8(json).unwrap(),
            "{\"type\":\"about:blank\",\"status\":404,\"title\":\"Not Found\",\"request_id\":\"ab\"}\n"
        );
    }
}
