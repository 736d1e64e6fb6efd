//! Where one signs in: a form and nothing else, so that it works without script.

use super::html::Html;
use super::{STYLE, icon};
use crate::problem::Code;

/// What a failure's code says to a person.
const FAILURES: [(Code, &str); 3] = [
    (Code::A201, "The name or the password is wrong."),
    (Code::A203, "The browser said that another site sent the form. Try again from here."),
    (Code::A205, "There were too many attempts. Wait a little, then try again."),
];

/// The page; it leads on to `to`, and says why it is shown again.
pub(crate) fn page(to: &str, failed: Option<&str>) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>evenkeel · sign in</title>\n");
    icon(&mut html, "0b6bcb");
    html.raw("<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n<main class=\"login\">\n<h1>Sign in</h1>\n");
    if let Some(failed) = failed {
        let known = FAILURES.iter().find(|(code, _)| code.as_str() == failed);
        let text = known.map_or("It did not work. Try again.", |(_, text)| text);
        html.raw("<p role=\"alert\" class=\"bad\">").raw(text).raw("</p>\n");
    }
    html.raw("<form method=\"post\" action=\"/api/v1/login\">\n<input type=\"hidden\" name=\"to\"");
    html.attribute("value", to).raw(">\n");
    html.raw("<label>Name <input name=\"user\" autocomplete=\"username\" autocapitalize=\"none\" required autofocus></label>\n");
    html.raw("<label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\n");
    html.raw("<button type=\"submit\">Sign in</button>\n</form>\n</main>\n</body>\n</html>\n");
    html.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_why_it_is_shown_again_and_takes_nothing_at_its_word() {
        assert!(!page("/", None).contains("role=\"alert\""));
        assert!(page("/", Some("A205")).contains("too many attempts"));
        let hostile = page("\"><script>alert(1)</script>", Some("<script>alert(1)</script>"));
        assert!(!hostile.contains("<script>") && hostile.contains("It did not work"), "{hostile}");
    }
}
