//! Lines of access logs as somebody wants them: which fit, and what one in JSON says.
//!
//! A line of another format is text and nothing more. The invariant: a line comes from outside, and whatever is in it is only shown.

use serde::Deserialize;

/// From this on a request is slow, in milliseconds: people notice.
const SLOW_MS: f64 = 1000.0;

/// Which lines are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// In lower case; a line has them all.
    words: Vec<String>,
    only: Only,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Only {
    #[default]
    All,
    Failed,
    Slow,
}

impl Wanted {
    /// Lines with these words; `only` is empty, `failed` or `slow`.
    pub(crate) fn new(words: &str, only: &str) -> Option<Self> {
        let only = match only {
            "" => Only::All,
            "failed" => Only::Failed,
            "slow" => Only::Slow,
            _ => return None,
        };
        Some(Self { words: words.split_whitespace().map(str::to_lowercase).collect(), only })
    }

    /// Whether a line is one of them.
    pub(crate) fn fits(&self, line: &str) -> bool {
        let has_words = self.words.is_empty() || {
            let line = line.to_lowercase();
            self.words.iter().all(|word| line.contains(word.as_str()))
        };
        has_words
            && match self.only {
                Only::All => true,
                Only::Failed => Request::read(line).is_some_and(|request| request.has_failed()),
                Only::Slow => Request::read(line).is_some_and(|request| request.is_slow()),
            }
    }
}

/// What a line in JSON says of a request. What it does not say is empty.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    pub(crate) time: String,
    pub(crate) client: String,
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) listener: String,
    pub(crate) route: String,
    pub(crate) pool: String,
    pub(crate) server: String,
    pub(crate) sticky: String,
    pub(crate) sticky_by: String,
    pub(crate) sticky_why: String,
    pub(crate) retries: u64,
    pub(crate) end: String,
    pub(crate) t_head: Option<f64>,
    pub(crate) t_queue: Option<f64>,
    pub(crate) t_connect: Option<f64>,
    pub(crate) t_first: Option<f64>,
    pub(crate) t_total: Option<f64>,
    pub(crate) user_agent: String,
}

impl Request {
    /// What a line says, if it is one of our own in JSON.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let request: Self = serde_json::from_str(line).ok()?;
        (!request.end.is_empty()).then_some(request)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status >= 500 || self.end != "ok"
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.t_total.is_some_and(|took| took >= SLOW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"time":"2026-11-21T16:00:00.123Z","client":"10.0.0.1","target":"/A","status":200,"end":"ok","t_total":3.250}"#;

    #[test]
    fn words_and_kinds_choose_lines() {
        let fits = |words: &str, only: &str, line: &str| Wanted::new(words, only).unwrap().fits(line);
        assert!(fits("", "", "anything") && fits("/a 10.0", "", GOOD) && !fits("/a 10.1", "", GOOD));
        let failed = GOOD.replace("\"ok\"", "\"server-lost\"");
        let slow = GOOD.replace("3.250", "1000.000");
        let answers = GOOD.replace("200", "503");
        assert!(!fits("", "failed", GOOD) && fits("", "failed", &failed) && fits("", "failed", &answers));
        assert!(!fits("", "slow", GOOD) && fits("", "slow", &slow));
        assert!(!fits("", "failed", "10.0.0.1 - - \"GET / HTTP/1.1\" 500"), "another format says nothing that we read");
        assert!(Wanted::new("", "fast").is_none());
    }

    #[test]
    fn what_is_no_line_of_ours_is_text() {
        for line in ["", "{}", "[1]", "{\"end\":7}", "{\"status\":99999,\"end\":\"ok\"}", "null"] {
            assert_eq!(Request::read(line), None, "{line}");
        }
        assert_eq!(Request::read(GOOD).unwrap().t_total, Some(3.25));
    }
}
