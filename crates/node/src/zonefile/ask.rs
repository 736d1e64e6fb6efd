//! Asking targets: all at once, bounded in number and in time.
//!
//! The invariant: what this machine cannot do (no network, no descriptors) says nothing about a target.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

use evenkeel_balance::CheckOutcome;
use evenkeel_dns::checker::{self, Probe, Target};
use evenkeel_model::caps;
use evenkeel_model::config::{Check, CheckKind, HttpCheck, StatusRange, Zonefile};
use evenkeel_net::stream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::prober::ask_over;

/// What a probe found, and the sentence that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) probe: Probe,
    pub(super) why: String,
}

/// Asks every target once.
pub(super) async fn ask(targets: &[Target], block: &Zonefile) -> HashMap<Target, Asked> {
    let slots = Rc::new(Semaphore::new(caps::ZONEFILE_PROBES));
    let mut probes = JoinSet::new();
    for target in targets {
        let (target, slots, check) = (target.clone(), Rc::clone(&slots), check_of(target, block));
        probes.spawn_local(async move {
            let _slot = slots.acquire().await;
            let asked = probe(SocketAddr::new(target.address, target.port), &check).await;
            (target, asked)
        });
    }
    let mut found = HashMap::with_capacity(targets.len());
    while let Some(ended) = probes.join_next().await {
        // A probe that panicked says nothing about its target, which keeps its state then.
        if let Ok((target, asked)) = ended {
            found.insert(target, asked);
        }
    }
    found
}

/// What is asked of a target: its block's path goes before what the configuration says.
fn check_of(target: &Target, block: &Zonefile) -> Check {
    let kind = match (&target.check, &block.check) {
        (checker::Check::Http(path), Some(CheckKind::Http(http))) => {
            CheckKind::Http(HttpCheck { target: path.clone(), ..http.clone() })
        }
        (checker::Check::Http(path), _) => CheckKind::Http(HttpCheck {
            method: "GET".to_owned(),
            target: path.clone(),
            http10: false,
            host: None,
            fields: Vec::new(),
            expect: vec![StatusRange { first: 200, last: 399 }],
            body: None,
        }),
        (checker::Check::Tcp, Some(kind)) => kind.clone(),
        (checker::Check::Tcp, None) => CheckKind::Tcp,
    };
    Check { kind, timeout: block.timeout, ..Check::default() }
}

async fn probe(addr: SocketAddr, check: &Check) -> Asked {
    let deadline = Instant::now() + check.timeout;
    let outcome = match stream::connect(addr, check.timeout).await {
        Ok(mut stream) => ask_over(&mut stream, check, &addr.to_string(), addr, deadline).await,
        Err(error) => {
            // A host that does not answer on its own network is told by another error than a network we have no way to.
            let is_ours = error.local || error.source.kind() == ErrorKind::NetworkUnreachable;
            let probe = if is_ours { Probe::CannotTell } else { Probe::Failed };
            return Asked { probe, why: crate::origin::words(&error.source) };
        }
    };
    match outcome {
        CheckOutcome::Passed { answer } => {
            Asked { probe: Probe::Passed, why: answer.unwrap_or_else(|| "it accepts connections".to_owned()) }
        }
        CheckOutcome::Failed(failure) => {
            Asked { probe: Probe::Failed, why: failure.detail.unwrap_or_else(|| failure.reason.to_string()) }
        }
        CheckOutcome::Local { detail } => Asked { probe: Probe::CannotTell, why: detail },
    }
}
