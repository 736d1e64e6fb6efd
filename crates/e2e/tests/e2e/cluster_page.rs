//! Does the dashboard's page of the cluster show two real nodes as they are, and move a group by its buttons?

use std::net::SocketAddr;

use evenkeel_e2e::browser::Browser;
use evenkeel_e2e::is_root_or_skips;
use evenkeel_e2e::place::Scratch;
use evenkeel_e2e::process::Process;

use crate::dashboard::{axe, sign_in, with_users};
use crate::pair::{Pair, SERVICE};

const PAGE: &str = "http://127.0.0.1:9090/cluster";

/// A row of the page by what it keeps.
fn row(name: &str) -> String {
    format!("(document.querySelector('tr[data-keep=\"{name}\"]')?.innerText ?? '')")
}

#[test]
fn one_sees_who_owns_what_who_hears_whom_and_moves_a_group() {
    let name = "one_sees_who_owns_what_who_hears_whom_and_moves_a_group";
    if !is_root_or_skips(name, "for network namespaces") {
        return;
    }
    let users = Scratch::new("users");
    let admin = with_users(SocketAddr::from(([127, 0, 0, 1], 9090)), "operate", &users);
    let pool = "pool shop {\n    check tcp every=200ms timeout=2s rise=1 fall=2\n    server a 127.0.0.1:82\n}\n";
    let mut pair = Pair::start_serving(&format!("{admin}{pool}http :80 {{\n    route * to=shop\n}}\n"));
    // The first node alone has the server: the second one sees it otherwise.
    let space = pair.network.space(1);
    let serve = ["netns", "exec", &space, "python3", "-m", "http.server", "82", "--bind", "127.0.0.1"];
    let output = pair.scratch.file("served");
    let _server = Process::start("server", "ip".as_ref(), &serve, pair.scratch.path(), output);
    pair.await_owner(1);
    // The browser ends with the thread that started it, and stays in that one's network.
    std::thread::scope(|scope| {
        let visit = scope.spawn(|| {
            pair.enter(1);
            visit(&mut pair);
        });
        visit.join().unwrap();
    });
}

// long: one visit from the first look to a node's death, in which each step stands on the one before.
fn visit(pair: &mut Pair) {
    let mut browser = Browser::start(1300, 900);
    browser.open(PAGE);
    sign_in(&mut browser, "right and long");
    browser.until("document.querySelector('h1')?.innerText === 'Cluster'");
    browser.complaints();
    let (group, other, ears) = (row("group-web"), row("node-lb2"), row("ears-lb2"));
    browser.until(&format!("{group}.includes('lb1') && {group}.includes('this node owns it already')"));
    browser.until(&format!("/1 10\\.77\\.0\\.2: \\d+ ms ago, \\d+ % lost/.test({other})"));
    browser.until(&format!("{other}.includes('the same') && {ears}.includes('yes') && !{ears}.includes('no')"));
    browser.until(&format!("{}.includes('heard')", row("ears-of-this-node")));
    browser.until(&format!("{0}.includes('down') && {0}.includes('lb2')", row("otherwise-lb2-shop/a")));
    assert!(browser.text("document.querySelector('[aria-label=\"Last moves\"] tbody').innerText").contains(" ms"));
    browser.picture("cluster");
    reads_without_script(&mut browser);

    // Away with it, in two steps, and what would bring it back.
    browser.open(PAGE);
    browser.click("[data-order='/api/v1/cluster/groups/web'][data-body*=standby]");
    browser.until("document.getElementById('told').innerText.includes('Press again')");
    assert_eq!(pair.network.owners(SERVICE), [1], "one press moves nothing");
    browser.click("[data-order='/api/v1/cluster/groups/web'][data-body*=standby]");
    pair.await_owner(2);
    browser
        .until(&format!("{group}.includes('standby') && {group}.includes('would come up here and then go from lb2')"));

    // The files are not the same any more.
    let text = std::fs::read_to_string(pair.scratch.file("evenkeel.conf")).unwrap();
    pair.scratch.write("evenkeel.conf", &format!("# newer\n{text}"));
    assert!(pair.command(1, &["reload"]));
    browser.until(&format!("{other}.includes('another file')"));
    judge(&mut browser, "two nodes");

    // It dies: nothing is known of what it hears, and the group is here again, after how long is said.
    pair.node(2).kill();
    pair.await_owner(1);
    browser.open(PAGE);
    browser.until(&format!("{other}.includes('left') && {ears}.includes('not known') && {group}.includes('nobody')"));
    browser.until("document.querySelectorAll('[aria-label=\"Last moves\"] tbody tr').length === 2");
    browser.picture("cluster-alone");
    judge(&mut browser, "one node");
    assert_eq!(browser.complaints(), [""; 0]);
}

fn reads_without_script(browser: &mut Browser) {
    browser.allow_scripts(false);
    browser.resize(360, 740);
    browser.open(PAGE);
    let shown = browser.text("document.body.innerText");
    for word in ["Who hears whom", "this node owns it already", "What other nodes see otherwise", "Last moves"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let wide = browser.value("document.documentElement.scrollWidth");
    assert!(wide.as_u64().is_some_and(|wide| wide <= 360), "{wide} wide on a phone");
    browser.picture("phone-cluster-of-two");
    browser.allow_scripts(true);
    browser.resize(1300, 900);
}

/// Asks axe in both themes, where it is there.
fn judge(browser: &mut Browser, what: &str) {
    let Some(axe) = axe("one_sees_who_owns_what_who_hears_whom_and_moves_a_group") else { return };
    let axe = std::fs::read_to_string(axe).unwrap();
    browser.bypass_policy();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.open(PAGE);
        browser.value(&format!("{axe}; 0"));
        let found = browser.text("axe.run(document).then(it => JSON.stringify(it.violations, null, 1))");
        assert_eq!(found, "[]", "{what} in {scheme}");
    }
}
