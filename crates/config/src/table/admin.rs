//! Words of the admin listener. A catalogue.

use super::{Context, Directive, Kind, ROW, Repeat, many, one};

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "admin",
        within: &[Context::Top],
        args: &[one("ADDRESS", Kind::Listen)],
        opens: Some(Context::Admin),
        otherwise: "none; the control socket is there all the same",
        doc: "Where people and programs look at the node, and steer it, over HTTP.",
        more: "The API is at `/api/v1`, its description at `/api/v1/openapi.json`. On loopback without users everybody on the machine may look \
               and nobody may change anything. On any other address users are needed, and since the listener speaks plain HTTP, passwords \
               can be read on the way: reach it through a tunnel or a proxy with TLS.",
        example: "admin 127.0.0.1:9090",
        ..ROW
    },
    Directive {
        name: "user",
        within: &[Context::Admin],
        args: &[one("NAME", Kind::Name)],
        opens: Some(Context::AdminUser),
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "Somebody who may come in.",
        more: "`pass` names the hash of a password (for signing in, and for Basic) or of a token (for Bearer); `evenkeel passwd` makes both.",
        example: "user ops role=admin pass=file:/etc/evenkeel/ops.pass",
        ..ROW
    },
    Directive {
        name: "role",
        within: &[Context::AdminUser],
        args: &[one("ROLE", Kind::Choice(&["read", "operate", "admin"]))],
        default: Some(|| "read".to_owned()),
        doc: "What the user may do.",
        more: "`read` looks. `operate` orders servers about as well: drain, maintenance, ready, weight. `admin` does everything, such as reload, \
               roll back and stop.",
        example: "user noc role=read pass=cred:noc",
        ..ROW
    },
    Directive {
        name: "pass",
        within: &[Context::AdminUser],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "needed",
        doc: "Where the hash of the user's password or token is kept.",
        more: "It holds one line, as `evenkeel passwd` prints it. The password itself is kept nowhere.",
        example: "user ops role=admin pass=cred:ops",
        ..ROW
    },
    Directive {
        name: "host",
        within: &[Context::Admin],
        args: &[many("NAME", Kind::HostPattern)],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Names by which browsers may call the listener.",
        more: "An address and `localhost` always do. Any other name is refused, so that a foreign page cannot reach the listener by a name of \
               its own that leads here.",
        example: "host lb1.example.com",
        ..ROW
    },
    Directive {
        name: "readonly",
        within: &[Context::Admin],
        otherwise: "off",
        doc: "Lets nobody change anything here, whatever the role.",
        more: "For screens on a wall. The control socket is not touched by it.",
        example: "readonly",
        ..ROW
    },
];
