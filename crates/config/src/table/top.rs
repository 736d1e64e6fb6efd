//! Words outside of every block, and `limits`. A catalogue.

use std::time::Duration;

use evenkeel_model::defaults;

use super::{Context, Directive, Kind, ROW, Repeat, many, one};
use crate::print;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "state",
        within: &[Context::Top],
        args: &[one("DIR", Kind::PathOrOff)],
        default: Some(|| defaults::STATE_DIR.to_owned()),
        doc: "Where the program keeps what outlives it: operators' orders, keys, the last good configuration.",
        more: "The directory is made if it is not there. With `off` nothing is kept: a drain is forgotten at a restart, and a key for \
               sticky cookies that is not given is another one each time.",
        example: "state /var/lib/evenkeel",
        ..ROW
    },
    Directive {
        name: "user",
        within: &[Context::Top],
        args: &[one("NAME", Kind::Account)],
        otherwise: "the user that started it",
        doc: "What the program becomes once its addresses are bound, if root started it.",
        more: "Ports below 1024 can be bound by root alone, and nothing else needs root.",
        example: "user evenkeel",
        ..ROW
    },
    Directive {
        name: "group",
        within: &[Context::Top],
        args: &[one("NAME", Kind::Account)],
        otherwise: "the user's own group",
        doc: "The group that goes with `user`.",
        more: "Members of the group may use the control socket.",
        example: "group evenkeel",
        ..ROW
    },
    Directive {
        name: "control",
        within: &[Context::Top],
        args: &[one("PATH", Kind::Path)],
        otherwise: "the first usable of the customary places for sockets",
        doc: "The socket by which commands such as `status`, `reload` and `drain` reach the running program.",
        more: "It is readable and writable by user and group (0660), and by nobody else.",
        example: "control /run/evenkeel/control.sock",
        ..ROW
    },
    Directive {
        name: "resolver",
        within: &[Context::Top],
        args: &[many("ADDRESS", Kind::Resolver)],
        otherwise: "the system's name servers",
        doc: "Name servers that are asked for the addresses of servers given by name.",
        more: "Answers are asked for anew when their time to live is over. A name that does not resolve takes its server down and nothing else.",
        example: "resolver 10.0.0.2 10.0.0.3:5353",
        ..ROW
    },
    Directive {
        name: "include",
        within: &[Context::Top],
        args: &[one("FILES", Kind::Glob)],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Reads other files as if their lines stood here, in the order of their names.",
        more: "A relative pattern begins at the directory of the file that it stands in. Whole statements are pasted: a block is opened and \
               closed in one file. One bad file makes the whole configuration bad, so that nothing takes effect by halves.",
        example: "include conf.d/*.conf",
        ..ROW
    },
    Directive {
        name: "limits",
        within: &[Context::Top],
        opens: Some(Context::Limits),
        doc: "Bounds of the process as a whole.",
        more: "Bounds of one client are in `max` and `timeout`, bounds of one server in `server` and `queue`.",
        example: "limits workers=4 conns=20000",
        ..ROW
    },
    Directive {
        name: "workers",
        within: &[Context::Limits],
        args: &[one("NUMBER", Kind::Integer(1, 256))],
        otherwise: "one for each core",
        doc: "How many threads carry traffic.",
        more: "Each has listeners and connections of its own. Takes effect at the next start.",
        example: "limits workers=4",
        ..ROW
    },
    Directive {
        name: "conns",
        within: &[Context::Limits],
        args: &[one("NUMBER", Kind::Integer(1, 10_000_000))],
        otherwise: "what the descriptor limit leaves room for",
        doc: "How many client connections there may be in all.",
        more: "Past it, the longest idle connections are closed first, then new ones wait in the system's queue.",
        example: "limits conns=20000",
        ..ROW
    },
    Directive {
        name: "buffers",
        within: &[Context::Limits],
        args: &[one("SIZE", Kind::Size(1 << 20, 1 << 50))],
        otherwise: "a quarter of the memory that the machine or its control group has",
        doc: "How much memory connections may hold in buffers, in all.",
        more: "Past it, large bodies go through in small pieces, and further requests get 503 unread until some are answered.",
        example: "limits buffers=512m",
        ..ROW
    },
    Directive {
        name: "files",
        within: &[Context::Limits],
        args: &[one("NUMBER", Kind::Integer(64, 100_000_000))],
        otherwise: "as many as the system allows",
        doc: "The limit of open descriptors to ask the system for.",
        more: "A connection that is passed on takes two.",
        example: "limits files=65536",
        ..ROW
    },
    Directive {
        name: "drain",
        within: &[Context::Limits],
        args: &[one("DURATION", Kind::Duration(Duration::ZERO, DAY))],
        default: Some(|| print::duration(defaults::DRAIN)),
        doc: "How long a stopping process waits for its connections to finish.",
        more: "New connections are refused at once, kept ones are closed after their answer. What is left after that time is cut.",
        example: "limits drain=30s",
        ..ROW
    },
];
