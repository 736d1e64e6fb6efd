//! Screens of reports that are made up.

use super::*;
use crate::report::LiveReport;

fn server(name: &str, state: &str, rate: f64) -> ServerReport {
    let mut server = ServerReport {
        name: name.to_owned(),
        state: state.to_owned(),
        text: format!("{name} said \x1b]0;owned\x07 no"),
        since_s: 75,
        failures: rate as u64,
        ..ServerReport::default()
    };
    let recent = vec![rate];
    server.traffic.live = Some(LiveReport { requests_per_s: rate, p50_ms: Some(3.0), p95_ms: Some(rate), recent });
    server
}

fn report(servers: Vec<ServerReport>) -> StatusReport {
    let pool = PoolReport { name: "shop".to_owned(), servers, ..PoolReport::default() };
    StatusReport { node: "lb1".to_owned(), pools: vec![pool], ..StatusReport::default() }
}

const SCREEN: Screen = Screen { colour: Colour::Off, lines: 12, columns: 100, order: Order::Written, skip: 0 };

#[test]
fn a_screen_is_never_larger_than_the_terminal() {
    let many = report((0..500).map(|at| server(&format!("s{at}"), "down", 1.0)).collect());
    for (lines, columns) in [(0, 0), (1, 1), (3, 20), (12, 100), (50, 300)] {
        for colour in [Colour::On, Colour::Off] {
            let screen = top(&many, Screen { lines, columns, colour, ..SCREEN });
            assert!(screen.len() <= lines, "{lines}×{columns}");
            assert!(screen.iter().all(|line| width(line) <= columns), "{lines}×{columns}: {screen:#?}");
        }
    }
}

#[test]
fn orders_put_first_what_they_name() {
    let all = report(vec![server("a", "up", 5.0), server("b", "down", 1.0), server("c", "draining", 9.0)]);
    let names = |order: Order| -> String {
        let screen = top(&all, Screen { order, lines: 40, ..SCREEN });
        let rows = screen.iter().filter_map(|line| line.strip_prefix("shop/"));
        rows.filter_map(|row| row.chars().next()).collect()
    };
    for (order, wanted) in [
        (Order::Written, "abc"),
        (Order::State, "bca"),
        (Order::Rate, "cab"),
        (Order::Slow, "cab"),
        (Order::Failures, "cab"),
    ] {
        assert_eq!(names(order), wanted, "{}", order.as_str());
    }
    let round = (0..5).fold(Order::Written, |order, _| order.next());
    assert_eq!(round, Order::Written);
}

#[test]
fn a_row_says_state_rate_and_why() {
    let screen = top(&report(vec![server("a", "down", 5.0)]), Screen { columns: 200, ..SCREEN });
    let row = screen.last().unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..7], ["shop/a", "down", "1m15s", "5.0", "3.0", "ms", "5.0"]);
    assert!(row.ends_with("a said \u{fffd}]0;owned\u{fffd} no"), "{row:?}");
}

#[test]
fn a_cut_line_closes_its_colour() {
    assert_eq!(cut("\x1b[31mdown\x1b[0m and out", 3), "\x1b[31mdo…\x1b[0m");
    assert_eq!(cut("abc   ", 3), "abc…".replace("c…", "…"));
    assert_eq!(cut("abc", 3), "abc");
}
