//! A reload: prepared beside the running configuration, then applied in one step.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::{Change, ListenerName};
use evenkeel_net::clock;
use tokio::sync::oneshot;

use super::{Event, Running, Supervisor, Turn};
use crate::certificates::Tls;
use crate::compare::Sources;
use crate::crew::{Acks, Opened, Silent};
use crate::dns::{self, ZoneNews};
use crate::history::History;
use crate::names::{self, Answer};
use crate::node::{buffers, max_conns};
use crate::origin::{Origin, Texts};
use crate::prepare::{self, Prepared, Refusal};
use crate::status::LastReload;

/// How long a worker may leave a command in its channel before a reload is refused.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// How long workers may take to use a new configuration before we stop waiting for them.
const APPLY_PATIENCE: Duration = Duration::from_secs(10);

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The number of the configuration that now runs.
    pub generation: u64,
    /// What the history calls it; 0 where nothing is kept.
    pub kept_as: u64,
    /// What is different, in the order of the file; empty where nothing is.
    pub changes: Vec<Change>,
    /// What the configuration warns of, a line each.
    pub warnings: Vec<String>,
}

/// A reload that is ready to be applied, with the addresses of its new names; or why it is refused.
pub(crate) type Readied = Result<(Prepared, BTreeMap<String, Answer>), Refusal>;

type Reply = oneshot::Sender<Result<Reloaded, Refusal>>;

/// Who waits for a reload.
#[derive(Default)]
pub(crate) struct Waiting {
    /// For the one that is under way. Never empty while there is one.
    now: Vec<Reply>,
    /// For the next one, and who ordered it: the file may have changed since the present one read it.
    next: Vec<(Reply, &'static str)>,
    is_under_way: bool,
    /// On whose order, for the history, and whether it comes from there.
    by: String,
    is_rollback: bool,
}

/// Which configuration is to be applied.
#[derive(Clone, Copy)]
enum Wanted {
    /// What the file says.
    File,
    /// The one of this number in the history.
    Kept(u64),
}

impl Supervisor {
    pub(super) fn order_reload(&mut self, by: &'static str, reply: Reply, turn: &mut Turn) {
        if turn.end_at.is_some() {
            let _ = reply.send(Err(Refusal::plain("the process is stopping and takes no configuration any more")));
            return;
        }
        if turn.reloads.is_under_way {
            turn.reloads.next.push((reply, by));
            return;
        }
        turn.reloads.next.push((reply, by));
        self.begin_next(turn);
    }

    /// Reads the file for those that wait for it, if there are any.
    fn begin_next(&mut self, turn: &mut Turn) {
        if turn.reloads.take_next() {
            tracing::info!("reload of {}, by {}", self.origin.name(), turn.reloads.by);
            self.begin_reload(Wanted::File, turn);
        }
    }

    /// Applies a configuration of the history. The file stays as it is.
    pub(super) fn order_rollback(&mut self, number: u64, by: String, reply: Reply, turn: &mut Turn) {
        let refused = if turn.end_at.is_some() {
            Some("the process is stopping and takes no configuration any more".to_owned())
        } else {
            turn.reloads.is_under_way.then(|| "a reload is under way; try again when it is done".to_owned())
        };
        if let Some(refused) = refused {
            let _ = reply.send(Err(Refusal::plain(refused)));
            return;
        }
        tracing::info!("configuration {number} of the history is wanted back, by {by}");
        turn.reloads.now.push(reply);
        (turn.reloads.by, turn.reloads.is_rollback) = (by, true);
        self.begin_reload(Wanted::Kept(number), turn);
    }

    /// What configurations there are.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            origin: self.origin.clone(),
            config: Arc::clone(&self.running.config),
            texts: Arc::clone(&self.running.texts),
            kept_as: self.running.kept_as,
            history: self.state.history(),
        }
    }

    fn begin_reload(&mut self, wanted: Wanted, turn: &mut Turn) {
        turn.reloads.is_under_way = true;
        self.watchdog.reloading();
        let config = Arc::clone(&self.running.config);
        let first = Arc::clone(&self.about.first_config);
        let (keys, pages) = (self.running.keys.clone(), self.running.pages.clone());
        let logs: HashSet<_> = self.logs.sinks().keys().cloned().collect();
        let (admin, dns) = (self.admin.borrow().clone(), self.dns.blocks());
        let tls = self.running.tls.clone();
        let cluster = self.cluster.as_ref().map(|cluster| (Arc::clone(&cluster.name), Arc::clone(&cluster.config)));
        let (own_secrets, workers) = (self.own_secrets.clone(), self.crew.len());
        let (resolver, events) = (Rc::clone(&self.resolver), self.events.clone());
        let known: HashSet<String> = self.keeper.hosts().into_iter().collect();
        let (file, state) = (self.origin.clone(), self.state.clone());
        tokio::task::spawn_local(async move {
            // Files and directories may be slow; probes and verdicts go on meanwhile.
            let reading = tokio::task::spawn_blocking(move || {
                let origin = wanted.find(file, &state.history())?;
                let running = prepare::Running {
                    config: &config,
                    first: &first,
                    keys: &keys,
                    pages: &pages,
                    logs: &logs,
                    own_secrets: &own_secrets,
                    admin: &admin,
                    dns: &dns,
                    tls: &tls,
                    workers,
                    state: &state,
                    cluster: cluster.as_ref().map(|(name, config)| (&**name, &**config)),
                };
                prepare::prepare(&origin, &running)
            });
            let outcome = match reading.await {
                Ok(Ok(prepared)) => {
                    let hosts =
                        names::hosts_of(&prepared.config).into_iter().filter(|host| !known.contains(host)).collect();
                    Ok((prepared, names::first_answers(&resolver, hosts, names::FIRST_PATIENCE).await))
                }
                Ok(Err(refusal)) => Err(refusal),
                Err(panic) => Err(Refusal::plain(format!("reading the configuration failed: {panic}"))),
            };
            // If nobody takes it, the process has ended.
            let _ = events.send(Event::Prepared(Box::new(outcome))).await;
        });
    }

    /// Adds what differs in the zones that are answered.
    pub(super) fn compared(&self, mut outcome: Box<Readied>) -> Box<Readied> {
        if let Ok((prepared, _)) = &mut *outcome {
            let ZoneNews { changes, warnings } = dns::news(&self.dns.blocks(), &prepared.resources.dns);
            prepared.changes.extend(changes);
            prepared.warnings.extend(warnings);
        }
        outcome
    }

    pub(super) async fn prepared(&mut self, outcome: Readied, turn: &mut Turn) {
        let applied = match outcome {
            Ok((prepared, answers)) if turn.end_at.is_none() => self.apply(prepared, &answers, turn).await,
            Ok(_) => Err(Refusal::plain("the process is stopping and takes no configuration any more")),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = applied {
            for line in refusal.cause.lines() {
                tracing::error!("{line}");
            }
            tracing::error!("the reload is refused, and the configuration that ran before still does");
            self.end_reload(&Err(refusal), turn);
        }
    }

    /// The one step. What can fail comes first.
    async fn apply(
        &mut self,
        prepared: Prepared,
        answers: &BTreeMap<String, Answer>,
        turn: &mut Turn,
    ) -> Result<(), Refusal> {
        let room = self.crew.room(ROOM_PATIENCE).await.map_err(|Silent(index)| {
            Refusal::plain(format!("worker {index} takes no commands; `evenkeel status` and a restart may help"))
        })?;
        let Prepared {
            config,
            texts,
            warnings,
            changes,
            opened,
            closed,
            dns_opened,
            dns_closed,
            resources,
            cluster_keys,
            cluster_news,
        } = prepared;
        self.dns
            .staff(&resources.dns, self.crew.len())
            .map_err(|error| Refusal::plain(format!("no thread for DNS: {error}")))?;
        self.logs
            .start(resources.logs)
            .map_err(|error| Refusal::plain(format!("no thread for a log's writer: {error}")))?;
        self.running.config = Arc::new(config);
        let texts = Arc::new(texts);
        self.running.texts = Arc::clone(&texts);
        self.running.is_rollback = turn.reloads.is_rollback;
        self.running.keys = resources.keys;
        self.running.pages = resources.pages;
        self.take_tls(resources.tls);
        self.admin.send_replace(resources.admin);
        self.running.generation = self.running.generation.saturating_add(1);
        self.running.applied_at = clock::unix_now();
        self.running.follow_sockets(&opened, &closed);
        self.running.follow_dns(&dns_opened, &dns_closed);
        self.follow(answers, turn);

        let views = self.keeper.views(clock::now());
        self.running.snapshot = self.build(views);
        turn.publish_at = None;
        self.grade();
        self.tell_config();
        self.follow_secrets(turn);
        if let Some(cluster) = &mut self.cluster {
            cluster.follow(cluster_keys, cluster_news);
        }
        self.show_leaving();
        let health = self.health();
        let dns_answers = self.dns.apply((resources.dns, health), (dns_opened, dns_closed), self.logs.sinks());
        let acks = room.apply(&self.running.snapshot, opened, &closed);
        let reloaded = Reloaded { generation: self.running.generation, kept_as: 0, changes, warnings };
        self.tell_when_applied(reloaded, texts, turn.reloads.by.clone(), (acks, dns_answers));
        Ok(())
    }

    /// Shows the certificates of the configuration, and those that authorities gave before.
    fn take_tls(&mut self, tls: Tls) {
        let before = std::mem::replace(&mut self.running.tls, tls);
        self.running.tls.adopt(&before);
        self.follow_acme();
    }

    /// Keeps the texts of a configuration, and says that it runs once all who work by it have said so.
    fn tell_when_applied(
        &self,
        mut reloaded: Reloaded,
        texts: Arc<Texts>,
        by: String,
        (acks, dns_answers): (Acks, Vec<oneshot::Receiver<()>>),
    ) {
        let (state, events) = (self.state.clone(), self.events.clone());
        let at = clock::unix_now().as_secs();
        tokio::task::spawn_local(async move {
            let answered = acks.all(APPLY_PATIENCE).await;
            for answer in dns_answers {
                // A thread that does not answer is noticed by those who wait for its answers, and it has the command.
                let _ = tokio::time::timeout(APPLY_PATIENCE, answer).await;
            }
            // A copy that cannot be written was logged; it does not undo the reload.
            let told = reloaded.changes.iter().map(ToString::to_string).collect();
            let keep = move || {
                state.save_last_good(&texts);
                state.history().keep(&texts, (at, &by), told)
            };
            reloaded.kept_as = tokio::task::spawn_blocking(keep).await.unwrap_or(0);
            let _ = events.send(Event::Applied(Box::new(reloaded), answered)).await;
        });
    }

    /// Brings what hangs on the configuration in line with it.
    pub(super) fn follow(&mut self, answers: &BTreeMap<String, Answer>, turn: &mut Turn) {
        let config = Arc::clone(&self.running.config);
        let noted = self.keeper.adopt(&config, clock::now());
        self.note(noted, turn);
        let lifted = self.intents.adopt(&config);
        self.lifted(&lifted, turn);
        self.merge_intents(turn);
        self.follow_intents(turn);
        self.tell_verdicts_soon();
        for (host, answer) in answers {
            self.resolved(host, answer.clone(), turn);
        }
        self.lookups.follow(&self.keeper.hosts(), answers);
        let keeper = &self.keeper;
        self.probes.follow(&config, self.running.tls.connectors(), |id| keeper.addrs(id));
        if let Err(error) = self.zonefiles.follow(&config) {
            tracing::error!("zone files are not looked at: {error}");
        }
        self.shared.set_max_conns(max_conns(&config.process, self.about.descriptors));
        self.shared.set_buffers(buffers(&config.process, self.crew.len()));
    }

    pub(super) fn applied(&mut self, reloaded: Reloaded, answered: Result<(), Silent>, turn: &mut Turn) {
        let outcome = match answered {
            Ok(()) => {
                self.running.kept_as = reloaded.kept_as;
                self.logs.forget_unnamed(&self.running.config);
                self.shared.forget_unnamed();
                let changes: Vec<String> = reloaded.changes.iter().map(ToString::to_string).collect();
                let changes = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") };
                tracing::info!("configuration {} is in use: {changes}", reloaded.generation);
                reloaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                Ok(reloaded)
            }
            // It has the command and will follow; only the promise that traffic sees it cannot be given.
            Err(Silent(index)) => Err(Refusal::plain(format!(
                "configuration {} was sent, but worker {index} has not taken it up after {} s",
                reloaded.generation,
                APPLY_PATIENCE.as_secs()
            ))),
        };
        self.end_reload(&outcome, turn);
    }

    fn end_reload(&mut self, outcome: &Result<Reloaded, Refusal>, turn: &mut Turn) {
        let refused = outcome.as_ref().err().map(|refusal| refusal.cause.clone());
        let counted = if refused.is_none() { &mut turn.reload_counts.applied } else { &mut turn.reload_counts.refused };
        *counted = counted.saturating_add(1);
        let told = match outcome {
            Ok(reloaded) => format!("configuration {} is in use", reloaded.generation),
            Err(refusal) => format!("a reload was refused: {}", refusal.cause.lines().next().unwrap_or_default()),
        };
        self.journal.note("reload", "", told);
        turn.last_reload = Some(LastReload { at: clock::unix_now(), refused });
        self.watchdog.ready();
        for reply in turn.reloads.now.drain(..) {
            // Whoever asked may have left.
            let _ = reply.send(outcome.clone());
        }
        turn.reloads.is_under_way = false;
        turn.reloads.is_rollback = false;
        self.begin_next(turn);
    }
}

impl Wanted {
    /// Where it is read from. Reads the history, where it comes from there.
    fn find(self, file: Origin, history: &History) -> Result<Origin, Refusal> {
        let Self::Kept(number) = self else { return Ok(file) };
        let kept = history.read(number);
        let kept = kept.ok_or_else(|| Refusal::plain(format!("the history holds no configuration {number}")))?;
        let name = format!("{} as of configuration {number}", file.name());
        Ok(Origin::Kept { name, texts: Box::new(kept.texts) })
    }
}

impl Waiting {
    /// Has those that waited for the next reload wait for the one that begins now. Whether there are any.
    fn take_next(&mut self) -> bool {
        let Some((_, by)) = self.next.first() else { return false };
        (*by).clone_into(&mut self.by);
        self.now.extend(self.next.drain(..).map(|(reply, _)| reply));
        true
    }
}

impl Running {
    fn follow_dns(&mut self, opened: &[dns::Opened], closed: &[ListenerName]) {
        for name in closed {
            self.bound.remove(name);
        }
        self.bound.extend(opened.iter().filter_map(dns::Opened::bound));
    }

    fn follow_sockets(&mut self, opened: &[Opened], closed: &[ListenerName]) {
        for name in closed {
            self.bound.remove(name);
        }
        for (name, sockets) in opened {
            if let Some(bound) = sockets.first().and_then(|socket| socket.local_addr().ok()) {
                self.bound.insert(name.clone(), bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_waited_goes_by_the_name_of_who_ordered_it() {
        let mut waiting = Waiting { by: "SIGHUP".to_owned(), ..Waiting::default() };
        assert!(!waiting.take_next());
        let replies: Vec<_> = (0..2).map(|_| oneshot::channel()).collect();
        let mut orders = ["the control socket", "SIGHUP"].into_iter();
        let mut answers = Vec::new();
        for (reply, answer) in replies {
            waiting.next.push((reply, orders.next().unwrap()));
            answers.push(answer);
        }
        assert!(waiting.take_next());
        assert_eq!((waiting.by.as_str(), waiting.now.len(), waiting.next.len()), ("the control socket", 2, 0));
    }
}
