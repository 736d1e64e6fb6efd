//! Learning sessions without a proxy around it: how fast pages are searched, and how long the table's longest step takes.
//!
//! The invariant: what is told is time on the processor, so that another program's turn counts for nothing.

use std::fmt::Write as _;
use std::time::Duration;

use evenkeel_balance::ServerUid;
use evenkeel_balance::sessions::{Bounds, ClientMark, SessionTable, Source, TableSecret};
use evenkeel_http::learn::{IdNames, OwnHosts, Scanner};
use evenkeel_model::{PoolName, ServerName};
use rustix::time::{ClockId, clock_gettime};

/// Sessions of the table.
const SESSIONS: u32 = 1_000_000;
/// Pages that are searched for one sample, and samples.
const PAGES: u32 = 4_000;
const SAMPLES: u32 = 9;
/// Runs of the table.
const RUNS: u32 = 3;

/// A page of about 16 KiB as applications make them: markup, text, links of the same site and of others, no session's id.
pub(crate) fn page() -> Vec<u8> {
    let mut text = "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>Catalogue</title>\n\
        <link rel=\"stylesheet\" href=\"/style.css?v=3\"></head>\n<body class=\"shop\"><ul>\n"
        .to_owned();
    for number in 0.. {
        if text.len() >= 16 * 1024 - 200 {
            break;
        }
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "<li class=\"item\"><a href=\"/item/{number}?page=1&amp;sort=price\">Article number {number}</a>\n\
             <p>It comes in {} sizes, and ships within {} days. <a href=\"https://maker{number}.example/about\">Who makes \
             it</a>.</p></li>",
            number % 7 + 2,
            number % 3 + 1
        );
    }
    text.push_str("</ul>\n<form action=\"/search\" method=\"get\"><input name=\"q\"><input type=\"hidden\" name=\"lang\" value=\"en\"></form>\n</body></html>\n");
    text.into_bytes()
}

/// Both, as lines of text.
pub(crate) fn run() -> Option<String> {
    let speeds = [("sid", "a name of three letters"), ("JSESSIONID", "a name of ten letters")];
    let mut text = String::new();
    for (name, what) in speeds {
        let _ =
            writeln!(text, "- pages of 16 KB without an id, searched for {what}: {:.2} GB/s of one core", search(name));
    }
    let worst = table()?;
    let _ = writeln!(
        text,
        "- a table that grows to {SESSIONS} sessions, each brought once, then swept: {} bytes a session; its longest step took \
         {:.0} µs of processor time ({}; of each step the shortest of {RUNS} runs)",
        worst.bytes,
        worst.took.as_secs_f64() * 1e6,
        worst.what
    );
    Some(text)
}

/// Time that this thread has computed.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Gigabytes a second, in the median.
fn search(name: &str) -> f64 {
    let page = page();
    let Some(names) = IdNames::new([name.as_bytes()], []) else { return 0.0 };
    let own = OwnHosts::new([&b"shop.example"[..]]);
    let mut speeds = Vec::new();
    for _ in 0..SAMPLES {
        let begun = computed();
        for _ in 0..PAGES {
            let mut scanner = Scanner::new(own.clone());
            // In two pieces, as they come from a socket.
            let (first, second) = page.split_at(page.len() / 2);
            let mut tell = |_: &[u8]| {};
            scanner.feed(&names, first, &mut tell);
            scanner.feed(&names, second, &mut tell);
            scanner.finish(&names, &mut tell);
        }
        let took = (computed() - begun).as_secs_f64();
        speeds.push(page.len() as f64 * f64::from(PAGES) / took / 1e9);
    }
    speeds.sort_unstable_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied().unwrap_or(0.0)
}

/// The longest step of a table.
struct Worst {
    took: Duration,
    what: &'static str,
    bytes: u64,
}

/// Every run takes the same steps with the same keys. What a step needs it needs in each of them, and what happened to
/// the machine meanwhile it does not: so the shortest time of a step is what counts.
fn table() -> Option<Worst> {
    let mut steps = Vec::new();
    let mut bytes = 0;
    for _ in 0..RUNS {
        let mut at = 0_usize;
        bytes = fill(&mut |what, run| {
            let begun = computed();
            run();
            let took = computed() - begun;
            match steps.get_mut(at) {
                Some((shortest, _)) => *shortest = took.min(*shortest),
                None => steps.push((took, what)),
            }
            at += 1;
        })?;
    }
    let (took, what) = steps.into_iter().max_by_key(|(took, _)| *took)?;
    Some(Worst { took, what, bytes })
}

/// Does something that has a name, and looks at the clock.
type Step<'a> = &'a mut dyn FnMut(&'static str, &mut dyn FnMut());

/// A table that grows past its bound and is swept; what a session takes of the memory.
fn fill(step: Step<'_>) -> Option<u64> {
    const NOW: u64 = 1_790_000_000;
    let (pool, name) = (PoolName::new("shop").ok()?, ServerName::new("a").ok()?);
    let bounds = Bounds { idle: Duration::from_secs(600), life: Duration::from_secs(86_400), max: SESSIONS as usize };
    let table = SessionTable::new(&pool, &TableSecret::derive(b"sixteen bytes of"), bounds);
    let (server, client) = (ServerUid::of(&name), ClientMark::of([192, 0, 2, 1].into()));
    // A tenth more than there is room for, so that the last ones have others make way.
    for number in 0..SESSIONS + SESSIONS / 10 {
        let key = table.key(&number.to_be_bytes());
        step("learning one", &mut || {
            table.learn(key, server, Source::Head, client, NOW);
        });
        step("finding one", &mut || {
            table.find(key, client, NOW);
        });
    }
    let stats = table.stats();
    // The room that a part has left is given back when no client waits for that part any more.
    let mut left = Vec::with_capacity(table.turns());
    for turn in 0..table.turns() {
        step("sweeping one of its parts", &mut || left.push(table.sweep(turn, NOW + 10_000)));
    }
    Some(stats.bytes / stats.held.max(1))
}
