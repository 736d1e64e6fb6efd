//! Host names of servers: asked for at a start, and again whenever an answer has aged.
//!
//! The invariant: a name that has no answer holds nothing up. Its servers wait for it, everything else goes on.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use evenkeel_model::ServerId;
use evenkeel_model::config::{Config, Host, Server};
use evenkeel_net::resolve::Resolver;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::supervisor::Event;
use crate::tasks;

/// How long a start or a reload waits for names; those that answer later are served from then on.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// How long the check of a configuration waits for names: somebody sits before it.
const CHECK_PATIENCE: Duration = Duration::from_secs(4);

/// After how long a name that could not be resolved is asked for again: soon, since its servers do nothing
/// meanwhile, and not so soon that a dead name server notices.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of a name: addresses and for how long, or why there are none.
pub(crate) type Answer = Result<(Vec<IpAddr>, Duration), String>;

/// The look-ups that run, by name.
pub(crate) struct Lookups {
    resolver: Rc<Resolver>,
    running: HashMap<String, JoinHandle<()>>,
    events: mpsc::Sender<Event>,
}

impl Lookups {
    /// None yet; answers go to `events`.
    pub(crate) fn new(resolver: Rc<Resolver>, events: mpsc::Sender<Event>) -> Self {
        Self { resolver, running: HashMap::new(), events }
    }

    /// Makes the look-ups those of these names. What `known` says of a name is not asked for again before its time.
    pub(crate) fn follow(&mut self, hosts: &[String], known: &BTreeMap<String, Answer>) {
        self.running.retain(|host, task| {
            let stays = hosts.contains(host);
            if !stays {
                task.abort();
            }
            stays
        });
        for host in hosts {
            if !self.running.contains_key(host) {
                let wait = known.get(host).map_or(Duration::ZERO, wait_after);
                let watch = watch(Rc::clone(&self.resolver), host.clone(), wait, self.events.clone());
                self.running.insert(host.clone(), tasks::start_task(tasks::LOOKUP, &self.events, watch));
            }
        }
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        for task in self.running.values() {
            task.abort();
        }
    }
}

/// Asks for every name at once, and gives those answers that come in time.
pub(crate) async fn first_answers(
    resolver: &Rc<Resolver>,
    hosts: Vec<String>,
    patience: Duration,
) -> BTreeMap<String, Answer> {
    let mut asked = JoinSet::new();
    for host in hosts {
        let resolver = Rc::clone(resolver);
        asked.spawn_local(async move {
            let answer = ask(&resolver, &host).await;
            (host, answer)
        });
    }
    let mut answers = BTreeMap::new();
    let collect = async {
        while let Some(answered) = asked.join_next().await {
            answers.extend(answered);
        }
    };
    // Whoever is late is asked again by its own task.
    let _ = tokio::time::timeout(patience, collect).await;
    answers
}

async fn watch(resolver: Rc<Resolver>, host: String, mut wait: Duration, events: mpsc::Sender<Event>) {
    loop {
        tokio::time::sleep(wait).await;
        let answer = ask(&resolver, &host).await;
        wait = wait_after(&answer);
        if events.send(Event::Resolved { host: host.clone(), answer }).await.is_err() {
            return;
        }
    }
}

async fn ask(resolver: &Resolver, host: &str) -> Answer {
    match resolver.lookup(host).await {
        Ok(answer) => Ok((answer.addrs, answer.ttl)),
        Err(error) => Err(error.to_string()),
    }
}

/// The resolver bounds an answer's life; here only the failures' is chosen.
fn wait_after(answer: &Answer) -> Duration {
    answer.as_ref().map_or(RETRY, |(_, life)| *life)
}

/// Looks up every server's name once, for a check of a configuration: those without an address, and why.
pub fn unresolved(config: &Config) -> Vec<(ServerId, String)> {
    let hosts = hosts_of(config);
    if hosts.is_empty() {
        return Vec::new();
    }
    let answers = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(async {
            let resolver = Rc::new(Resolver::new(&config.process.resolvers));
            first_answers(&resolver, hosts, CHECK_PATIENCE).await
        }),
        Err(error) => return with_names(config, |_| Some(error.to_string())),
    };
    with_names(config, |host| match answers.get(host) {
        Some(Ok((addrs, _))) if !addrs.is_empty() => None,
        Some(Ok(_)) => Some(format!("`{host}` has no address")),
        Some(Err(cause)) => Some(cause.clone()),
        None => Some(format!("no answer within {} s", CHECK_PATIENCE.as_secs())),
    })
}

/// The hosts that a configuration gives by name, each once.
pub(crate) fn hosts_of(config: &Config) -> Vec<String> {
    let servers = config.pools.iter().flat_map(|pool| &pool.servers);
    let mut hosts: Vec<String> = servers.filter_map(|server| name_of(server).map(str::to_owned)).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn with_names(config: &Config, cause: impl Fn(&str) -> Option<String>) -> Vec<(ServerId, String)> {
    let mut found = Vec::new();
    for pool in &config.pools {
        for server in &pool.servers {
            if let Some(cause) = name_of(server).and_then(&cause) {
                found.push((pool.id_of(server), cause));
            }
        }
    }
    found
}

fn name_of(server: &Server) -> Option<&str> {
    match &server.addr.host {
        Host::Name(name) => Some(name),
        Host::Ip(_) => None,
    }
}
