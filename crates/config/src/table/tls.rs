//! Words about TLS: listeners, certificates, and the way to servers. A catalogue.

use evenkeel_model::config::AcmeChallenge;
use evenkeel_model::defaults;

use super::{Context, Directive, Kind, ROW, Repeat, any, many, one};

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "https",
        within: &[Context::Top],
        args: &[one("ADDRESS", Kind::Listen), any("HOST", Kind::HostPattern)],
        opens: Some(Context::Http),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Takes HTTP requests over TLS at an address, for all hosts or for those named.",
        more: "As `http`, with at least one `cert` or `acme`. Blocks of one address share their certificates: a client gets the one for the very host \
               that it asks for, else a wildcard's, else the first. TLS 1.2 and 1.3 are spoken, and sessions are resumed by tickets, which in a \
               cluster every node takes.",
        example: "https :443 shop.example.com {\n    cert /etc/ssl/shop.pem key=/etc/ssl/private/shop.key\n    to 10.0.0.11:8080 10.0.0.12:8080\n}",
        ..ROW
    },
    Directive {
        name: "cert",
        within: &[Context::Http, Context::Tcp],
        args: &[one("FILE", Kind::CertificateFile)],
        opens: Some(Context::Cert),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "A certificate to show to clients, in PEM, its chain behind it.",
        more: "`evenkeel check` says what is wrong with it: a key of another one, a name that it does not cover, a gap in its chain, the day on which \
               it expires. A reload takes up renewed files, and no connection notices. `self` is one that the program makes for the block's hosts \
               itself, for trying out, and keeps over restarts. In a `tcp` block TLS ends here: servers get what was within, and `sni=` of routes \
               goes by the name of the handshake.",
        example: "cert /etc/ssl/shop.pem key=/etc/ssl/private/shop.key",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Cert],
        args: &[one("FILE", Kind::Path)],
        otherwise: "in the certificate's file",
        doc: "The certificate's private key, in PEM.",
        more: "The user that the program becomes has to be able to read it, and nobody else should.",
        example: "cert /etc/ssl/shop.pem key=/etc/ssl/private/shop.key",
        ..ROW
    },
    Directive {
        name: "staple",
        within: &[Context::Cert],
        args: &[one("FILE", Kind::Path)],
        otherwise: "none",
        doc: "An answer of the authority's OCSP service, in DER, to be shown with the certificate.",
        more: "Fetch it with `openssl ocsp … -respout FILE`, and reload.",
        example: "cert /etc/ssl/shop.pem key=/etc/ssl/private/shop.key staple=/var/lib/shop.ocsp",
        ..ROW
    },
    Directive {
        name: "acme",
        within: &[Context::Http],
        args: &[one("MAIL", Kind::Text)],
        opens: Some(Context::Acme),
        otherwise: "none",
        doc: "Has an authority make a certificate for the block's hosts, and renews it (ACME).",
        more: "It is ordered when the program starts, and renewed when the authority says so or after two thirds of its life. Account, key and \
               certificate are kept in the `state` directory. Until the first one is there, clients get one that the program made itself; whatever \
               fails later, the last one stays in use. In a cluster one node orders, and all get it. The authority may write to MAIL, and with this \
               word you agree to its terms.",
        example: "acme ops@example.com",
        ..ROW
    },
    Directive {
        name: "directory",
        within: &[Context::Acme],
        args: &[one("URL", Kind::Text)],
        default: Some(|| defaults::ACME_DIRECTORY.to_owned()),
        doc: "The directory of the authority: a URL, or `staging`.",
        more: "Let's Encrypt is asked unless another one is named. `staging` is its place for trying out: its limits are hard to reach, and no browser \
               believes its certificates.",
        example: "acme ops@example.com directory=staging",
        ..ROW
    },
    Directive {
        name: "ca",
        within: &[Context::Acme],
        args: &[one("FILE", Kind::Path)],
        otherwise: "the authorities that the system believes",
        doc: "Who signed the certificate of the authority's own web server, in PEM.",
        more: "For an authority inside your network.",
        example: "acme ops@example.com directory=https://ca.internal/acme/directory ca=/etc/ssl/internal-ca.pem",
        ..ROW
    },
    Directive {
        name: "eab",
        within: &[Context::Acme],
        args: &[one("ID", Kind::Text)],
        otherwise: "none",
        doc: "The account that you have with the authority, for one that takes no strangers (external account binding).",
        more: "ID is what the authority calls the account's key, and `key` says where that is. It is needed once for each account that is made: the \
               authority binds ours to yours.",
        example: "acme ops@example.com directory=https://ca.example.com/acme/eab eab=kid-1 key=file:/etc/evenkeel/eab.key",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Acme],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "none",
        doc: "Where the key of `eab` is kept, in base64url as the authority gave it.",
        more: "A file has to have mode 0600.",
        example: "acme ops@example.com directory=https://ca.example.com/acme/eab eab=kid-1 key=file:/etc/evenkeel/eab.key",
        ..ROW
    },
    Directive {
        name: "challenge",
        within: &[Context::Acme],
        args: &[one("HOW", Kind::Choice(&["http", "alpn", "dns"]))],
        default: Some(|| AcmeChallenge::default().as_str().to_owned()),
        doc: "How the authority is shown that the hosts are yours.",
        more: "`http`: it asks on port 80 of each host, and every `http` listener here answers, before any route. `alpn`: it begins TLS on port 443 of \
               each host, where this listener has to be. `dns`: it asks for a record, which a `zone` here that holds the host answers; only so there \
               are wildcards.",
        example: "acme ops@example.com challenge=alpn",
        ..ROW
    },
    Directive {
        name: "tls",
        within: &[Context::Http, Context::Tcp],
        opens: Some(Context::ClientTls),
        doc: "What TLS with clients is to be like.",
        more: "It holds for the address as a whole, whichever of its blocks says it. A `tcp` block needs a `cert` for it; TLS to servers is said in \
               their `pool`.",
        example: "tls min=1.3",
        ..ROW
    },
    Directive {
        name: "min",
        within: &[Context::ClientTls, Context::ServerTls],
        args: &[one("VERSION", Kind::Choice(&["1.2", "1.3"]))],
        otherwise: "1.2",
        doc: "The lowest version of TLS.",
        more: "Versions below 1.2 are broken and not spoken at all.",
        example: "tls min=1.3",
        ..ROW
    },
    Directive {
        name: "client-ca",
        within: &[Context::ClientTls],
        args: &[one("FILE", Kind::Path)],
        otherwise: "clients are not asked for a certificate",
        doc: "Asks clients for a certificate that one of these authorities signed, in PEM.",
        more: "Servers learn who it is by a field of your own, `request-header set X-Client-Subject $ssl_client_s_dn`; those of a `tcp` block by \
               `proxy-protocol v2` in their pool.",
        example: "tls client-ca=/etc/ssl/staff-ca.pem",
        ..ROW
    },
    Directive {
        name: "verify",
        within: &[Context::ClientTls],
        args: &[one("WHEN", Kind::Choice(&["required", "optional"]))],
        otherwise: "`required`",
        doc: "Whether a client without a certificate is turned away.",
        more: "With `optional` it is let in, and `$ssl_client_verify` is `NONE`. A certificate that cannot be verified is refused either way.",
        example: "tls client-ca=/etc/ssl/staff-ca.pem verify=optional",
        ..ROW
    },
    Directive {
        name: "alpn",
        within: &[Context::ClientTls],
        args: &[many("PROTOCOL", Kind::Protocol)],
        otherwise: "none is agreed on",
        doc: "The protocols inside of TLS that a `tcp` block offers to its clients (ALPN), the preferred first.",
        more: "Offer what the servers speak. A client that names only others is refused (`no_application_protocol`), one that names none is let in. \
               Where the pool speaks `tls` its servers are offered the very one that was agreed on with the client, and with `proxy-protocol v2` \
               they are told of it. In `https` blocks it follows from what they speak: `h2` and `http/1.1`.",
        example: "tls alpn=h2,http/1.1",
        ..ROW
    },
    Directive {
        name: "tls",
        within: &[Context::Pool],
        opens: Some(Context::ServerTls),
        otherwise: "servers are spoken to in the clear",
        doc: "Speaks TLS to the pool's servers, checks included.",
        more: "Each has to show a certificate for its host that an authority signed whom the system believes. In an `http` or `https` block, \
               `to https://HOST:PORT` is the same with every default.",
        example: "tls sni=shop.internal ca=/etc/ssl/internal-ca.pem",
        ..ROW
    },
    Directive {
        name: "sni",
        within: &[Context::ServerTls],
        args: &[one("HOST", Kind::Host)],
        otherwise: "each server's own host or address",
        doc: "The name that servers are asked for, and have to prove.",
        more: "Needed where servers are given by addresses and their certificates are for a name.",
        example: "tls sni=shop.internal",
        ..ROW
    },
    Directive {
        name: "ca",
        within: &[Context::ServerTls],
        args: &[one("FILE", Kind::Path)],
        otherwise: "the authorities that the system believes",
        doc: "The authorities that servers' certificates have to be signed by, in PEM.",
        more: "A server's own self-signed certificate may stand here, too: then that very one is believed.",
        example: "tls ca=/etc/ssl/internal-ca.pem",
        ..ROW
    },
    Directive {
        name: "cert",
        within: &[Context::ServerTls],
        args: &[one("FILE", Kind::Path)],
        otherwise: "none",
        doc: "The certificate that we show to servers that ask for one, in PEM.",
        more: "With its key in `key=`, or in the same file.",
        example: "tls cert=/etc/ssl/balancer.pem key=/etc/ssl/private/balancer.key",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::ServerTls],
        args: &[one("FILE", Kind::Path)],
        otherwise: "in the certificate's file",
        doc: "The certificate's private key, in PEM.",
        more: "The user that the program becomes has to be able to read it, and nobody else should.",
        example: "tls cert=/etc/ssl/balancer.pem key=/etc/ssl/private/balancer.key",
        ..ROW
    },
    Directive {
        name: "verify",
        within: &[Context::ServerTls],
        args: &[one("WHETHER", Kind::Choice(&["on", "off"]))],
        otherwise: "`on`",
        doc: "Whether servers have to prove who they are.",
        more: "With `off` whoever can get between us and a server reads and changes everything. `ca=` with the server's own certificate is as \
               little work.",
        example: "tls verify=off",
        ..ROW
    },
];
