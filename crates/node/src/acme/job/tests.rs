//! When a job goes on, by what it hears.

use evenkeel_net::resolve::Resolver;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::acme::board::tests::{HOST, Node, made};
use crate::state::State;

#[tokio::test]
async fn who_waits_for_another_nodes_order_sleeps_again_where_the_certificate_is_not_due_any_more() {
    let wait = async {
        let has = made(Duration::ZERO);
        let lb2 = Node::start("lb2", &has);
        let tell = |due: u64| {
            let told = serde_json::json!([{
                "directory": lb2.key.directory, "hosts": [HOST], "due": due, "papers": has.0,
            }]);
            lb2.board.hear_orders(&"lb1".into(), told.to_string().as_bytes()).unwrap();
        };
        let job = Job {
            orders: Orders {
                key: lb2.key.clone(),
                board: lb2.board.clone(),
                state: State::none(),
                resolver: Resolver::new(&[]),
            },
            current: Some(Arc::clone(&has.1)),
            again: Rc::default(),
            journal: Journal::default(),
        };
        tell(7);
        assert_eq!(job.due(&has.1, 0), 7);
        let mut waiting = std::pin::pin!(job.wait_for_turn(Some(0)));
        assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err(), "the first node orders");
        tell(clock::unix_now().as_secs() + 30 * 24 * 3600);
        assert!(matches!(waiting.await, Came::NotDue));
    };
    LocalSet::new().run_until(wait).await;
}
