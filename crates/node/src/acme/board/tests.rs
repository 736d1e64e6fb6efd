//! What a job shows and tells, and what becomes of it at its end.

use std::path::PathBuf;

use evenkeel_model::config::AcmeChallenge;
use tokio::task::LocalSet;

use super::*;
use crate::acme::fellows::tests::fellows;
use crate::cluster::{Desk, Topic};

pub(in crate::acme) const HOST: &str = "a.example";

/// One node's board, with a job that has a certificate, and what it tells the others.
pub(in crate::acme) struct Node {
    pub(in crate::acme) board: Board,
    pub(in crate::acme) key: Key,
    told: watch::Receiver<BTreeMap<Topic, Arc<[u8]>>>,
}

fn key() -> Key {
    Key {
        listener: ListenerName::of_address(":443"),
        hosts: vec![HOST.to_owned()],
        mail: "ops@example.com".to_owned(),
        directory: "https://ca.example/dir".to_owned(),
        ca: None::<PathBuf>,
        challenge: AcmeChallenge::Http,
        binding: None,
    }
}

/// A certificate that was made so long after now.
pub(in crate::acme) fn made(after: Duration) -> (Papers, Arc<Certificate>) {
    let (chain, key) = Certificate::self_signed_pem(&[HOST.to_owned()], clock::unix_now() + after).unwrap();
    let papers = Papers::new(chain, key);
    let certificate = papers.certificate().unwrap();
    (papers, certificate)
}

impl Node {
    /// Its supervisor does at once what it is told.
    pub(in crate::acme) fn start(name: &str, has: &(Papers, Arc<Certificate>)) -> Self {
        let (events, mut received) = mpsc::channel(8);
        tokio::task::spawn_local(async move {
            while let Some(event) = received.recv().await {
                if let Event::Order(Order::ShowCertificates { reply, .. }) = event {
                    reply.send(Ok(())).unwrap();
                }
            }
        });
        let shared = Shared::new(1, mpsc::channel(1).0);
        let board = Board::new(shared, (events, Journal::default()), Some(fellows(name)));
        let (desk, told) = Desk::new();
        board.take_desk(desk);
        let key = key();
        board.begin(&key, Some(has.clone()), None, AcmeStatus::default());
        Self { board, key, told }
    }

    /// Waits until it tells something else of its orders.
    async fn told(&mut self, before: Option<&[u8]>) -> Arc<[u8]> {
        let is_news = |papers: &BTreeMap<Topic, Arc<[u8]>>| {
            papers.get(&Topic::Certificates).is_some_and(|paper| Some(&**paper) != before)
        };
        let papers = self.told.wait_for(is_news).await.unwrap();
        Arc::clone(&papers[&Topic::Certificates])
    }
}

#[tokio::test]
async fn what_an_authority_said_of_a_certificate_is_not_told_of_the_one_after_it() {
    let tell = async {
        let (old, new) = (made(Duration::ZERO), made(Duration::from_secs(60)));
        let (mut lb1, lb2) = (Node::start("lb1", &old), Node::start("lb2", &old));
        let bare = lb1.told(None).await;
        lb1.board.advise(&lb1.key, Some(7));
        let advised = lb1.told(Some(&bare)).await;
        lb2.board.hear_orders(&"lb1".into(), &advised).unwrap();
        assert_eq!(lb2.board.due(&lb2.key, &old.1), Some(7));
        lb1.board.show(&lb1.key, &new.0, &new.1).await.unwrap();
        assert_eq!(lb1.board.advised(&lb1.key), None);
        let renewed = lb1.told(Some(&advised)).await;
        lb2.board.hear_orders(&"lb1".into(), &renewed).unwrap();
        assert!(lb2.board.offer(&lb2.key).is_some_and(|offer| offer.certificate == new.1));
        assert_eq!(lb2.board.due(&lb2.key, &new.1), None);
    };
    LocalSet::new().run_until(tell).await;
}

#[tokio::test]
async fn after_the_end_nothing_is_told_whatever_was_about_to_be() {
    let end = async {
        let mut lb1 = Node::start("lb1", &made(Duration::ZERO));
        let before = lb1.told(None).await;
        // Somebody has news, and the telling of it rests a moment.
        lb1.board.advise(&lb1.key, Some(7));
        lb1.board.tell(&lb1.key, "token", "proof");
        lb1.board.tell_proofs();
        lb1.board.quit();
        let nothing = lb1.told(Some(&before)).await;
        assert_eq!(*nothing, *b"[]");
        let telling = async {
            while lb1.board.is_telling.get() || lb1.told.has_changed().unwrap() {
                sleep().await
            }
        };
        tokio::time::timeout(Duration::from_secs(60), telling).await.unwrap();
        lb1.board.note(&lb1.key, |status| status.failures = 1);
        lb1.board.tell_proofs();
        while lb1.board.is_telling.get() {
            sleep().await;
        }
        let papers = lb1.told.borrow().clone();
        assert_eq!(*papers[&Topic::Certificates], *b"[]");
        let proofs = String::from_utf8_lossy(&papers[&Topic::Proofs]).into_owned();
        assert!(!proofs.contains("token\""), "{proofs}");
    };
    LocalSet::new().run_until(end).await;
}

async fn sleep() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[tokio::test]
async fn jobs_of_other_authorities_make_their_accounts_beside_each_other() {
    let board = Board::new(Shared::new(1, mpsc::channel(1).0), (mpsc::channel(1).0, Journal::default()), None);
    let slow = board.accounts("https://slow.example/dir");
    let _alone = slow.acquire().await.unwrap();
    assert!(board.accounts("https://slow.example/dir").try_acquire().is_err());
    assert!(board.accounts("https://other.example/dir").try_acquire().is_ok());
}
