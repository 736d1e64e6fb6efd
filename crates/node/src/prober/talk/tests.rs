use evenkeel_balance::CheckOutcome;
use evenkeel_model::Reason;
use evenkeel_model::config::{CheckKind, RedisRole, TalkCheck};

use super::{Step, Talk};

/// What a check said, and what came of it.
type Heard = (Vec<u8>, Result<Option<String>, (Reason, String)>);

/// What a check makes of what a server says, in one piece and byte by byte; with what it says itself.
fn talk(kind: &CheckKind, heard: &[u8]) -> Heard {
    let whole = talk_in(kind, &[heard]);
    let pieces: Vec<&[u8]> = heard.chunks(1).collect();
    assert_eq!(whole, talk_in(kind, &pieces), "byte by byte");
    whole
}

fn talk_in(kind: &CheckKind, pieces: &[&[u8]]) -> Heard {
    let mut talk = Talk::new(kind, "a:1".to_owned()).unwrap();
    let mut said = talk.opening();
    let outcome = 'done: {
        for piece in pieces {
            let mut fresh: &[u8] = piece;
            loop {
                match talk.hear(fresh) {
                    Step::More => break,
                    Step::Say(more) => said.extend(more),
                    Step::Done(finding) => break 'done talk.outcome(finding),
                }
                fresh = b"";
            }
        }
        talk.end()
    };
    let result = match outcome {
        CheckOutcome::Passed { answer } => Ok(answer),
        CheckOutcome::Failed(failure) => Err((failure.reason, failure.detail.unwrap_or_default())),
        CheckOutcome::Local { .. } => panic!("no socket, no fault of ours"),
    };
    (said, result)
}

#[test]
fn words_are_sent_and_awaited_anywhere_in_the_answer() {
    let kind = CheckKind::Talk(TalkCheck { send: b"EHLO x\r\n".to_vec(), expect: b"250 ".to_vec() });
    let (said, result) = talk(&kind, b"220 mail\r\n250 ok\r\n");
    assert_eq!((said.as_slice(), result), (&b"EHLO x\r\n"[..], Ok(Some("220 mail".to_owned()))));
    let (_, result) = talk(&kind, b"554 no\r\n");
    assert_eq!(result, Err((Reason::BodyMismatch, "no `250 ` in the first 8 bytes".to_owned())));
    assert_eq!(talk(&kind, b"").1, Err((Reason::ConnectionLost, "it closed without a word".to_owned())));
    let (_, flood) = talk_in(&kind, &[&[b'x'; 40_000], &[b'x'; 40_000]]);
    assert!(matches!(flood, Err((Reason::BodyMismatch, _))), "{flood:?}");
}

#[test]
fn redis_answers_or_says_why_not() {
    let ping = CheckKind::Redis { role: None };
    assert_eq!(talk(&ping, b"+PONG\r\n"), (b"*1\r\n$4\r\nPING\r\n".to_vec(), Ok(Some("+PONG".to_owned()))));
    assert!(talk(&ping, b"-NOAUTH Authentication required.\r\n").1.is_ok());
    let loading = talk(&ping, b"-LOADING Redis is loading the dataset in memory\r\n").1;
    assert!(matches!(loading, Err((Reason::NotReady, text)) if text.starts_with("-LOADING")));
    assert!(matches!(talk(&ping, b"HTTP/1.1 400 Bad Request\r\n").1, Err((Reason::AnswerMalformed, _))));
    let primary = CheckKind::Redis { role: Some(RedisRole::Primary) };
    let replica = CheckKind::Redis { role: Some(RedisRole::Replica) };
    let master = b"*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n";
    let slave = b"*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167038\r\n";
    assert!(talk(&primary, master).1.is_ok() && talk(&replica, slave).1.is_ok());
    let wrong = talk(&primary, slave).1;
    assert_eq!(wrong, Err((Reason::NotReady, "its role is replica".to_owned())));
    assert!(matches!(talk(&primary, b"-NOAUTH x\r\n").1, Err((Reason::NotReady, _))));
}

#[test]
fn postgres_serves_unless_it_says_that_it_does_not() {
    let kind = CheckKind::Postgres { user: "evenkeel".to_owned() };
    let (said, result) = talk(&kind, b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
    assert_eq!(result, Ok(None));
    assert_eq!(&said[..8], &[0, 0, 0, u8::try_from(said.len()).unwrap(), 0, 3, 0, 0]);
    assert!(said.windows(14).any(|window| window == b"user\0evenkeel\0") && said.ends_with(b"\0\0"));
    let error = |code: &str, text: &str| {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        [&b"E"[..], &length, fields.as_bytes()].concat()
    };
    let starting = talk(&kind, &error("57P03", "the database system is starting up")).1;
    assert_eq!(starting, Err((Reason::NotReady, "57P03 the database system is starting up".to_owned())));
    for (code, text) in [("28000", "no pg_hba.conf entry"), ("53300", "sorry, too many clients already")] {
        assert_eq!(talk(&kind, &error(code, text)).1, Ok(Some(format!("{code} {text}"))));
    }
    for wrong in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"E\0\0\0\0", b"E\xff\xff\xff\xff"] {
        assert!(matches!(talk(&kind, wrong).1, Err((Reason::AnswerMalformed, _))), "{wrong:?}");
    }
    assert!(matches!(talk(&kind, b"E\0\0\0\x20SF").1, Err((Reason::ConnectionLost, _))));
}

#[test]
fn mysql_greets_and_turns_a_login_down_and_serves_all_the_same() {
    let kind = CheckKind::Mysql { user: "evenkeel".to_owned() };
    let packet = |number: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[number], payload].concat()
    };
    let greeting = packet(0, b"\x0a10.11.6-MariaDB\0\x05\0\0\0rest-of-it");
    let denied = packet(2, b"\xff\x15\x04#28000Access denied for user 'evenkeel'");
    let (said, result) = talk(&kind, &[&greeting[..], &denied].concat());
    assert_eq!(result, Ok(Some("10.11.6-MariaDB".to_owned())));
    assert_eq!(usize::from(said[0]) + 4, said.len());
    assert!(said[3] == 1 && said.windows(9).any(|window| window == b"evenkeel\0"));
    let blocked = packet(0, b"\xff\x69\x04Host '10.0.0.1' is blocked");
    assert_eq!(talk(&kind, &blocked).1, Err((Reason::NotReady, "1129 Host '10.0.0.1' is blocked".to_owned())));
    let full = packet(0, b"\xff\x10\x04#08004Too many connections");
    assert_eq!(talk(&kind, &full).1, Err((Reason::NotReady, "1040 Too many connections".to_owned())));
    assert!(matches!(talk(&kind, &packet(0, b"\x09old")).1, Err((Reason::AnswerMalformed, _))));
    assert!(matches!(talk(&kind, &greeting).1, Err((Reason::ConnectionLost, _))));
}
