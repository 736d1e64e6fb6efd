//! Every kind of mistake: its code, its name, and the text that `explain` prints. A catalogue.
//!
//! The invariant: a code never changes its meaning and is never used again; new ones go to the end of their hundred.

use std::fmt;

use crate::Severity;

macro_rules! codes {
    ($( $code:ident $title:literal $text:literal; )*) => {
        /// The stable code of a kind of mistake: `E1…` how the text is written, `E2…` words, `E3…` values, `E4…` what
        /// they mean together, `W5…` warnings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $( #[doc = $title] $code, )*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[ $( Self::$code, )* ];

            /// The code as it is printed.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$code => stringify!($code), )* }
            }

            /// The kind of mistake in a few words.
            pub fn title(self) -> &'static str {
                match self { $( Self::$code => $title, )* }
            }

            /// What it means, why it is a mistake, and how it is mended.
            pub fn text(self) -> &'static str {
                match self { $( Self::$code => $text, )* }
            }
        }
    };
}

codes! {
    E101 "the file is not UTF-8"
        "A configuration is UTF-8 text. The byte shown is none: the file may be in an older encoding, or no text at all.\n\
         Convert it: `iconv -f latin1 -t utf-8 OLD > NEW`.";
    E102 "a character that does not belong in a configuration"
        "Control characters, no-break spaces, invisible characters and typographic quotes come in by copying from web pages and\n\
         word processors. They look like a blank or a quote and are neither. Type the character anew, or put the word in\n\
         straight quotes if it is meant.";
    E103 "a quote that is not closed"
        "A quoted word begins and ends with `\"` on the same line. Inside, `\\\"` is a quote and `\\\\` a backslash.";
    E104 "a quote in the middle of a word"
        "Quotes go around a whole word (`\"two words\"`) or around a whole value (`key=\"two words\"`). Inside a word without\n\
         quotes they mean nothing, so they are not allowed there.";
    E105 "an escape that is not known"
        "Inside quotes a backslash makes `\\\"`, `\\\\`, `\\n` and `\\t`. A backslash itself is written twice.";
    E106 "a block that is not closed"
        "Each `{` at the end of a line needs a `}` alone on a line of its own. The place shown is where the block begins.";
    E107 "a `}` without a block"
        "There is no open block that this `}` could close. One was closed twice, or the line that opened it is gone.";
    E108 "a `{` that does not end its line"
        "A `{` opens a block only as the last word of its line, with a blank before it. What is in the block follows on lines\n\
         of its own. For a block with one or two words, write them as options: `check tcp every=5s`.";
    E109 "a `}` that does not stand alone"
        "A `}` closes a block only alone on its line.";
    E110 "a block without a statement"
        "A `{` stands at the end of the line whose block it opens, not on a line of its own.";
    E111 "blocks too deep"
        "Blocks are nested deeper than any configuration needs; a `}` is probably missing above.";
    E112 "a backslash in the wrong place"
        "A `\\` joins a line to the next one as the last word of its line, with a blank before it. A backslash that is meant as\n\
         one goes in quotes, twice: `\"\\\\\"`.";
    E113 "a `;` at the end of a line"
        "A statement ends with its line; there are no semicolons. One that belongs to the last word goes in quotes with it.";
    E114 "a file that cannot be read"
        "The configuration, or a file that it includes, is not there, not readable by this user, or no regular file. Of what a shell hands over, `check <(…)` reads the configuration itself.";
    E115 "a file that is too large"
        "A configuration file is at most 16 MiB. Probably another file was meant.";
    E116 "files that include each other"
        "A file may not include itself, by itself or through others, and `include` goes at most 8 files deep.";
    E117 "malformed JSON"
        "A file that begins with `{` is read as the JSON twin of the configuration, and must be JSON (RFC 8259).";
    E118 "a JSON value that stands for no statement"
        "In the JSON twin a statement is a member of an object: a text or a number for one value, a list for several, `true` for a\n\
         word without values, an object for a block, whose own values are in its member `is`. `config schema` prints the schema.";

    E201 "an unknown word"
        "The word is none of those that may stand here. The words allowed are in the note; `explain WORD` tells what one does.";
    E202 "a word in the wrong block"
        "The word exists and belongs elsewhere. Move the line into a block of the kind named.";
    E203 "a word of a later version"
        "The word is part of the language, and this version cannot do yet what it stands for. It refuses rather than\n\
         ignore it, since a configuration that is obeyed only in part is worse than none.";
    E204 "a word of another program"
        "The word is known from another load balancer. Here the same thing has another name, given in the help line.";
    E205 "a value that is missing"
        "The word needs more values than it got. The usage line shows which.";
    E206 "a value too many"
        "The line has a value more than the word takes. Text with blanks in it goes in quotes.";
    E207 "a word that takes no options"
        "The word takes neither `key=value` options nor a block. A value that has `=` in it goes in quotes.";
    E208 "a word given twice"
        "The word may stand only once in its block, since the second would silently win over the first. Keep one.";
    E209 "a name given twice"
        "Names are how state, logs and commands know a thing, so each is given once: pool names in the whole configuration, server\n\
         names in their pool.";

    E301 "a duration that cannot be read"
        "A duration is a whole number and a unit without a blank: `500ms`, `2s`, `10m`, `1h`, `7d`. A bare number is refused, since\n\
         other programs read it as seconds, milliseconds or minutes.";
    E302 "a size that cannot be read"
        "A size is a whole number and a unit without a blank: `512b`, `16k`, `10m`, `1g`; `k` is 1024 bytes. A bare number is refused.";
    E303 "a number that does not fit"
        "The word takes a whole number within the range given in the message.";
    E304 "a share that does not fit"
        "The word takes whole percent with a `%`: `20%`.";
    E305 "an address to listen on that cannot be read"
        "Traffic comes in at `:PORT` (every address of the machine), `ADDRESS:PORT` or `[IPV6]:PORT`. Names are not taken here:\n\
         which address a name means may change while the program runs.";
    E306 "a server's address that cannot be read"
        "A server is `ADDRESS:PORT`, `[IPV6]:PORT` or `NAME:PORT`.";
    E307 "a port that is missing"
        "Every server has its port written, 1 to 65535; none is assumed.";
    E308 "a range of addresses that cannot be read"
        "A range is an address, or an address with a prefix length: `10.0.0.0/8`, `2001:db8::/32`. The bits past the prefix are zero,\n\
         so that what is written is what is meant.";
    E309 "a value that is not one of those allowed"
        "The word takes one of a few values, given in the note.";
    E310 "a name that cannot be one"
        "A name is 1 to 64 letters, digits, `-`, `_` or `.`, and begins with a letter or a digit.";
    E311 "a secret in the open"
        "A secret is never written in the configuration, which is copied, mailed and committed. Put it in a file that only\n\
         root reads and write `file:/path`, or use a systemd credential (`cred:NAME`) or an environment variable (`env:NAME`).";
    E312 "a pattern for paths that cannot be read"
        "A pattern is `*` for every path, `/exact`, `/prefix/*` for everything below, or a glob such as `/img/*.png`, in which `*`\n\
         stops at a `/` and `**` does not. It begins with `/`, holds no query and no fragment.";
    E313 "a host that cannot be one"
        "A host is a name such as `shop.example.com`, or `*.example.com` for every name below, without scheme, port and path.";
    E314 "a method that cannot be one"
        "A method is letters such as `GET`.";
    E315 "a field or cookie name that cannot be one"
        "Names of header fields and cookies are letters, digits and ``!#$%&'*+-.^_`|~`` (RFC 9110 section 5.6.2), without colon and blank.";
    E316 "a status that cannot be one"
        "A status is a number from 100 to 599, a range is two of them: `200..399`. A redirect's is 301, 302, 303, 307 or 308.";
    E317 "an unknown variable"
        "A `$name` in a text stands for a fact of the request. A dollar sign itself is written `$$`.";
    E318 "a variable that is not known yet"
        "The text is needed before the answer is there, and the variable is a fact of the answer. Such variables may stand in log formats,\n\
         and those known with the answer's head in `response-header`.";
    E319 "a dollar sign that stands for nothing"
        "A `$` begins a variable: `$name` or `${name}`. A dollar sign itself is written `$$`.";
    E320 "a path that does not begin at the root"
        "The program runs in the background with a working directory of its own, so every path begins with `/`.";
    E321 "a URL that cannot be one"
        "A whole location begins with `http://` or `https://` and has a host.";
    E322 "a log target that cannot be read"
        "A log goes to a file by its path from the root, to `stdout`, to `syslog`, to `syslog:/path` (a unix socket) or to `syslog:ADDRESS:PORT`.";
    E323 "a user or group that cannot be one"
        "Names of users and groups are letters, digits, `-` and `_`, and do not begin with `-`.";
    E324 "a text with characters that may not stand there"
        "A line break or another control character in a header field or request target would end it and begin another: it is refused.";
    E325 "a media type that cannot be one"
        "A media type is `type/subtype` with parameters: `text/plain; charset=utf-8`.";

    E401 "a pool that does not exist"
        "A `to=` names a pool that the configuration does not define.";
    E402 "a pool without servers"
        "A pool needs at least one `server NAME ADDRESS:PORT`.";
    E403 "a block that does nothing"
        "An `http` block needs a `to`, a `route`, a `redirect` or a `respond`.";
    E404 "a route that does nothing"
        "A route sends its requests to a pool (`to=POOL`), redirects them (`redirect`) or answers them (`respond`).";
    E405 "two answers to one question"
        "A route or block does one thing with a request: `to`, `redirect` or `respond`.";
    E406 "a word for a pool where there is none"
        "Words such as `sticky` and `check` are about servers. In an `http` block they are for the servers of the block's own `to ADDRESS…`;\n\
         where routes lead to pools, they stand in the `pool` blocks.";
    E407 "blocks of one address that disagree"
        "Blocks with the same address share its connections, and which block a request is for is known only after its head was read. So\n\
         time limits, size limits and trust are the address's own: give them in one of the blocks, or at the top of the file.";
    E408 "two addresses that are one"
        "`:80` is every address of the machine; `0.0.0.0:80` or `[::]:80` beside it would be the same port again.";
    E409 "a `to`, `redirect` or `respond` before routes"
        "In an `http` block these take every request that no route took. Written order is the only order, so they stand below the routes.";
    E410 "too many servers"
        "A pool has at most 1024 servers.";
    E411 "a part that does not go with the others"
        "Parts of the line exclude each other. The message says which.";
    E412 "a field that is the proxy's own"
        "`Content-Length`, `Transfer-Encoding`, `Connection` and their like say where a message ends. Edited, the two sides would disagree on\n\
         that, which is how requests are smuggled. They cannot be set, added or removed.";
    E413 "nothing to listen on"
        "The configuration has no `http`, `tcp` or `dns` block, so there would be nothing to do.";
    E414 "an address that cannot be listened on"
        "The system refused to bind the address. The message says why and, if the port is taken, who holds it.";
    E415 "a secret that cannot be read"
        "The file, environment variable or credential of a secret is missing, unreadable or empty.";
    E416 "an admin listener that strangers can reach"
        "An admin listener on another address than loopback needs users: who reaches it could otherwise see everything. Give each a\n\
         line `user NAME role=ROLE pass=SECRET`, or listen on 127.0.0.1.";
    E417 "a user without a password"
        "A user of `admin` needs `pass=`, which names the hash that `evenkeel passwd` prints.";
    E418 "a cluster without a key"
        "Heartbeats are sealed: without a key anybody in the network could take the addresses. `evenkeel cluster key` makes one.";
    E419 "a cluster that cannot be"
        "The nodes, times or groups of the cluster do not fit each other. The message says which, and what to do.";
    E420 "a group without resources"
        "A group moves what it holds, and this one holds nothing. Give it an address.";
    E421 "an unknown node"
        "No `node` line of the cluster has that name, or the node cannot own a group.";
    E426 "a part that needs another one"
        "A `dns` block needs a zone; a zone needs a `file=` or its `ns`; `answer=pool` needs a `pool=`, and answers with peers need `peers=`.\n\
         The message says what is missing.";
    E427 "a zone that cannot be used"
        "The zone's file cannot be read or is no sound zone, or a name that is to be answered by health is not in it. The lines below the\n\
         message say where and why. The zone that was read before is answered on.";
    E428 "a file that cannot be used"
        "A directory of error pages cannot be read, or a log cannot be opened. A start or a reload would be refused; what runs goes on.";
    E430 "an address with and without TLS"
        "A connection begins with TLS or without it, so one address cannot do both. Give `http` and `https` different ports.";
    E431 "a word about TLS where there is none"
        "`cert`, `acme` and `tls` of clients are words of `https` blocks.";
    E432 "a listener without a certificate"
        "An `https` block shows a certificate to its clients: `cert FILE key=FILE`, or `acme MAIL` to have an authority make one. For trying\n\
         out, `cert self` makes one; browsers warn of it.";
    E433 "servers with and without TLS in one line"
        "The servers of one pool are interchangeable, so all of them are spoken to alike.";
    E434 "a certificate that cannot be used"
        "The file is missing or unreadable for the user that the program becomes, holds no certificate or key, or the key is that of another\n\
         certificate. `openssl x509 -in FILE -noout -text` shows what is in it.";
    E435 "a certificate that no authority gives"
        "An authority signs names that it can look up, for somebody whom it can write to: give the `https` block its hosts, none of them an\n\
         address, and `acme` a mail address. A wildcard is shown to it in DNS alone: `challenge=dns`, with a `zone` here that holds the host.\n\
         An authority that takes no strangers gives an ID and a key: `eab=ID key=file:PATH`.";

    W501 "a pool that nothing leads to"
        "No route leads to the pool. It gets checks and no traffic.";
    W502 "a route that is never reached"
        "An earlier route takes every request that this one would take: the first that fits wins. Move the narrower one up.";
    W503 "a pool that takes no new sessions"
        "Every primary server has weight 0, or is at `drain` or `maint`. Clients without a session get the backups, or 503.";
    W504 "a server given twice"
        "Two servers of one pool have the same address. It is checked twice, and gets twice the traffic. A pool is warned of once, however\n\
         many of its servers are meant.";
    W505 "a server's name that does not resolve"
        "The name of the server has no address now. The rest works; the server is down (`dns`) until the name resolves.";
    W506 "a block that is never reached"
        "An earlier block of the same address takes every host of this one: the first that fits wins.";
    W507 "an include without files"
        "No file fits the pattern.";
    W508 "a pool of backups only"
        "Backups are for when no primary server is left, and there is no primary. They serve all the time.";
    W509 "a limit that another one makes idle"
        "Another limit is reached first, so that this one never is.";
    W510 "passwords that can be read on the way"
        "The admin listener speaks plain HTTP. On another address than loopback, passwords and tokens cross the network in the clear: let it\n\
         listen on 127.0.0.1 and reach it through a tunnel (`ssh -L`) or a proxy with TLS.";
    W511 "a listener that leads to itself"
        "The server is the very listener whose requests it gets: each would go round until it is given up with 508 (`loop` in logs). A server's\n\
         address is that of the program behind; two programs cannot share one.";
    W512 "a slow cluster"
        "Clients wait for the dead time and a little more when a node dies without a word. Heartbeats are small and cost next to nothing.";
    W514 "something that could not be looked at"
        "`check` reads secrets, error pages and logs as a start does. This one it may not read, or there is no such thing where it runs:\n\
         credentials and the environment are those of the service. Nothing is said about whether it is good.";
    W515 "a doubtful line in a zone file"
        "The zone is answered as the file has it. Something in it is probably not what was meant, or leads clients elsewhere: the message says\n\
         what, and where it stands.";
    W520 "a certificate that expires"
        "Clients turn away from a certificate that has expired, and from one that is not valid yet. Renew it, put the files in their place, and\n\
         `evenkeel reload`.";
    W521 "a host that no certificate covers"
        "Clients that ask for the host get another one's certificate, and browsers warn. `*.example.com` covers one label: `a.example.com`, and\n\
         neither `example.com` nor `a.b.example.com`.";
    W522 "a chain with a gap"
        "A certificate is shown together with those of the authorities above it, each followed by its issuer; the root may be missing. Browsers\n\
         often find what is missing by themselves, programs do not. Authorities hand the whole out as `fullchain.pem`.";
    W523 "a private key that others can read"
        "Whoever has the key can pretend to be the host. Let only the user that the program becomes read it.";
    W524 "servers that need not prove who they are"
        "Whoever can get between us and a server can read and change everything. `ca=FILE` with the authority, or with the server's own\n\
         certificate, closes that.";
    W525 "a port at which no authority asks"
        "With `challenge=http` an authority asks on port 80 of each host, with `challenge=alpn` on port 443, whatever the ports of this\n\
         configuration are. It is right where something in front sends those ports here.";
}

impl Code {
    /// Errors begin with `E`, warnings with `W`.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The code of that text, in any case.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;
    use crate::Severity;

    #[test]
    fn codes_stand_in_order_and_tell_their_severity() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].as_str() < pair[1].as_str()));
        for code in Code::ALL {
            assert_eq!(code.severity() == Severity::Warning, code.as_str().starts_with('W'));
            assert!(!code.title().ends_with('.') && code.text().ends_with('.'), "{code}");
            assert_eq!(Code::find(code.as_str()), Some(*code));
        }
        assert_eq!(Code::find("E999"), None);
    }
}
