//! The start, step by step.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use evenkeel_balance::Rng;
use evenkeel_config::Loaded;
use evenkeel_model::config::{Config, Workers};
use evenkeel_model::{ListenerName, caps, defaults};
use evenkeel_net::control::ControlSocket;
use evenkeel_net::listen;
use evenkeel_net::process::{self, User};
use evenkeel_net::resolve::Resolver;
use evenkeel_net::{NetError, clock, rng};
use evenkeel_proxy::{Shared, Snapshot, SnapshotParts, TrafficReport};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::{ControlPlace, Ended, Handle, Node, Service, SignalUse, Start, StartError, buffers, max_conns};
use crate::acme::{Acme, Fellows};
use crate::certificates::Tls;
use crate::cluster;
use crate::crew::{Crew, Opened, Silent};
use crate::dns::{self, Dns};
use crate::door::{AdminDoor, Doors};
use crate::intents::Intents;
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::logs::LogWriters;
use crate::names::{self, Answer, Lookups};
use crate::origin::{Origin, Texts};
use crate::pages::Pages;
use crate::prepare::{self, Known, Refusal, Resources};
use crate::prober::Probes;
use crate::secrets::{OwnSecrets, TokenKeys};
use crate::sessions::SessionKeeper;
use crate::signals::Signals;
use crate::state::{State, Unusable};
use crate::supervisor::{About, Event, Others, Running, Supervisor};
use crate::tasks;
use crate::watchdog::Watchdog;
use crate::zonefile::{self, Zonefiles, pool_verdicts};

/// How long the workers may take to accept on their first sockets.
const FIRST_APPLY: Duration = Duration::from_secs(10);

/// Everything that was had before the first thread.
struct Ready {
    origin: Origin,
    config: Arc<Config>,
    texts: Texts,
    is_last_good: bool,
    opened: Vec<Opened>,
    dns_opened: Vec<dns::Opened>,
    resources: Resources,
    state: State,
    own_secrets: OwnSecrets,
    hash_seed: [u8; 16],
    cluster: Option<cluster::Ready>,
    control: Option<ControlSocket>,
    service: Option<Service>,
    signals: SignalUse,
    workers: usize,
    descriptors: u64,
}

pub(super) fn start(start: Start) -> Result<Node, StartError> {
    let ready = get_ready(start)?;
    let (events, received) = mpsc::channel(caps::CONTROL_EVENTS);
    let journal = Journal::default();
    let handle = Handle { events: events.clone(), journal: journal.clone() };
    let (told, heard) = std::sync::mpsc::sync_channel(1);
    let run = move || run(ready, (events, received), journal, &told);
    let control = tasks::start_control(run).map_err(StartError::System)?;
    match heard.recv() {
        Ok(Ok(())) => Ok(Node { handle, control }),
        Ok(Err(error)) => {
            // It says why it ends, and then it does.
            let _ = control.join();
            Err(error)
        }
        Err(_) => Err(StartError::System(io::Error::other("the control thread ended before it began"))),
    }
}

/// Everything that can be refused.
fn get_ready(start: Start) -> Result<Ready, StartError> {
    let Start { origin, loaded, texts, is_last_good, state, control, service, signals, node, guard } = start;
    let Some(config) = loaded.config.clone() else {
        return Err(Refusal::plain("the configuration holds errors").into());
    };
    let process = &config.process;
    let descriptors = process::raise_descriptor_limit(process.files).map_err(StartError::System)?;
    let workers = worker_count(process.workers);
    let user = user(&config)?;
    take_sockets(signals, &config);
    let now = Config::default();
    let opened = prepare::bind(&config, &now, workers, &loaded)?;
    let dns_opened = dns::bind(&config, &now, workers, &loaded)?;
    let control = control_socket(control, &config, user.as_ref())?;
    let admin = AdminDoor::bound(config.admin.as_ref(), &loaded)
        .map_err(|found| Refusal::of_diagnostics(&found, &loaded.sources))?;
    let state_dir = state.or_else(|| process.state.clone());
    let state = open_state(state_dir.as_deref(), user.as_ref())?;
    let cluster = config.cluster.as_ref();
    let cluster = cluster.map(|it| cluster::ready(it, node.as_deref(), guard.as_deref(), &state)).transpose()?;
    if let Some(user) = &user {
        process::become_user(user).map_err(|error| refused(&error))?;
    }
    if let Some(cluster) = &cluster {
        cluster.settle();
    }
    let in_state = |cause: String| Refusal::plain(format!("the state directory: {cause}"));
    let own_secrets = state.sticky_secrets().map_err(in_state)?;
    // Nodes that share their sessions name them alike.
    let hash_seed = match &cluster {
        Some(cluster) => cluster.seed(),
        None => state.hash_seed().map_err(in_state)?,
    };
    let resources = {
        let (keys, logs) = (TokenKeys::default(), HashSet::new());
        let tls = Tls::new(cluster.as_ref().map(|cluster| cluster.ticket_secret.as_slice())).keeping(state.clone());
        let known = Known { keys: &keys, logs: &logs, own_secrets: &own_secrets, admin: &admin, dns: &[], tls: &tls };
        prepare::gather(&config, &known, &loaded)?
    };
    warn(&config, &loaded, &resources);
    Ok(Ready {
        origin,
        config: Arc::new(config),
        texts,
        is_last_good,
        opened,
        dns_opened,
        resources,
        state,
        own_secrets,
        hash_seed,
        cluster,
        control,
        service,
        signals,
        workers,
        descriptors,
    })
}

/// Says what a start goes on with all the same.
fn warn(config: &Config, loaded: &Loaded, resources: &Resources) {
    for doubt in dns::doubts(&resources.dns) {
        tracing::warn!("{}", doubt.message);
    }
    for found in zonefile::unreadable_keys(config, loaded) {
        tracing::warn!("{}; nothing is updated with it until it can be read", found.message);
    }
}

/// Takes the sockets that the service manager has opened for this process, where all of it is ours, and says which of them
/// cannot be used.
fn take_sockets(signals: SignalUse, config: &Config) {
    if signals != SignalUse::Take {
        return;
    }
    for sentence in listen::take_given().into_iter().chain(prepare::unserved(config)) {
        tracing::warn!("{sentence}");
    }
}

/// Who to become: only root can become somebody else.
fn user(config: &Config) -> Result<Option<User>, Refusal> {
    let Some(name) = &config.process.user else { return Ok(None) };
    if !process::is_root() {
        tracing::warn!("`user {name}` has no effect: only a process that root started can become somebody else");
        return Ok(None);
    }
    process::lookup_user(name, config.process.group.as_deref()).map(Some).map_err(|error| refused(&error))
}

fn control_socket(place: ControlPlace, config: &Config, user: Option<&User>) -> Result<Option<ControlSocket>, Refusal> {
    let path = match place {
        ControlPlace::Nowhere => return Ok(None),
        ControlPlace::At(path) => Some(path),
        ControlPlace::Configured => config.process.control.clone(),
    };
    ControlSocket::bind(path.as_deref(), user).map(Some).map_err(|error| refused(&error))
}

/// A directory that nobody asked for by name, and that cannot be had, costs what it would remember and no more. One that is
/// there and not the user's that the file names is refused all the same: somebody has kept things in it.
fn open_state(dir: Option<&Path>, user: Option<&User>) -> Result<State, Refusal> {
    let Some(dir) = dir else { return Ok(State::none()) };
    match State::open(dir, user) {
        Ok(state) => Ok(state),
        Err(cause)
            if dir == Path::new(defaults::STATE_DIR)
                && (user.is_none() || matches!(cause, Unusable::Unavailable(_))) =>
        {
            tracing::warn!("nothing is remembered over restarts, `{}` cannot be used: {cause}", dir.display());
            Ok(State::none())
        }
        Err(cause) => Err(Refusal::plain(format!("the state directory `{}` cannot be used: {cause}", dir.display()))),
    }
}

fn worker_count(workers: Workers) -> usize {
    match workers {
        Workers::PerCore => process::core_count().get(),
        Workers::Fixed(count) => usize::from(count.get()),
    }
}

fn refused(error: &NetError) -> Refusal {
    Refusal::with_hint(error.to_string(), error.hint().as_deref())
}

/// The control thread, from its runtime to its end.
fn run(
    ready: Ready,
    (events, received): (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    journal: Journal,
    told: &SyncSender<Result<(), StartError>>,
) -> Ended {
    let fail = |error: StartError| {
        let failed = Some(error.to_string());
        // The one who started us waits for this.
        let _ = told.send(Err(error));
        Ended { cut: 0, failed }
    };
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return fail(StartError::System(error)),
    };
    runtime.block_on(async move {
        let (reports, reported) = mpsc::channel(caps::TRAFFIC_REPORTS);
        match assemble(ready, Handle { events, journal }, reports).await {
            Ok((supervisor, control)) => {
                supervisor.watchdog.ready();
                // The one who started us waits for this.
                let _ = told.send(Ok(()));
                let ended = Box::pin(supervisor.run(received, reported)).await;
                // The socket's name goes last: as long as it is there, so are we.
                drop(control);
                ended
            }
            Err(error) => fail(error),
        }
    })
}

/// Starts the threads and tasks, and opens the doors.
// long: every part of a node is put together here, once, in the order in which they need each other.
async fn assemble(
    ready: Ready,
    handle: Handle,
    reports: mpsc::Sender<TrafficReport>,
) -> Result<(Supervisor, Option<ControlSocket>), StartError> {
    let Handle { events, journal } = handle.clone();
    // Before anything that takes time: whoever rotates logs, reloads or stops meanwhile is heard when all stands.
    let signals = take_signals(ready.signals).map_err(StartError::System)?;
    let config = Arc::clone(&ready.config);
    let shared = Shared::new(max_conns(&config.process, ready.descriptors), reports);
    shared.set_buffers(buffers(&config.process, ready.workers));
    let crew = Crew::start(ready.workers, &shared, &events).map_err(StartError::System)?;
    let mut logs = LogWriters::new(&events);
    logs.start(ready.resources.logs).map_err(StartError::System)?;

    let resolver = Rc::new(Resolver::new(&config.process.resolvers));
    let answers = names::first_answers(&resolver, names::hosts_of(&config), names::FIRST_PATIENCE).await;
    let me = ready.cluster.as_ref().map(|cluster| cluster.id());
    let (keeper, intents) = keeper((&ready.state, me), &config, &answers);
    let mut lookups = Lookups::new(Rc::clone(&resolver), events.clone());
    lookups.follow(&keeper.hosts(), &answers);
    let mut probes = Probes::new(events.clone(), rng());
    probes.follow(&config, ready.resources.tls.connectors(), |id| keeper.addrs(id));

    let fellows = ready.cluster.as_ref().zip(config.cluster.as_ref());
    let fellows = fellows.and_then(|(own, cluster)| Fellows::of(cluster, own.name()));
    let to = (events.clone(), journal.clone());
    let mut acme = Acme::new(ready.state.clone(), (*resolver).clone(), &shared, to, fellows);
    let mut tls = ready.resources.tls;
    for listener in acme.follow(&config) {
        // What is kept is shown to the first client.
        tls.install(&listener, acme.installed(&listener)).map_err(Refusal::plain)?;
    }
    let named = (ready.resources.pages, ready.resources.keys, tls);
    let mut running = first_running(&config, named, &keeper, &logs, ready.hash_seed, &shared);
    running.texts = Arc::new(ready.texts);
    running.bound = bound(&ready.opened);
    let zonefiles = first_zonefiles(&ready.state, &handle, &config, &running)?;
    let mut sessions = SessionKeeper::new(&shared, &ready.hash_seed, ready.state.sessions());
    sessions.load();
    let sessions = sessions.start(&events).map_err(StartError::System)?;
    running.bound.extend(ready.dns_opened.iter().filter_map(dns::Opened::bound));
    open_doors(&crew, &running.snapshot, ready.opened).await?;
    let mut dns = Dns::new(events.clone());
    let health = dns.health(&config, (&running.views, HashMap::new()), keeper.is_settled(), None);
    let answered = (ready.resources.dns, health);
    dns.start(answered, ready.dns_opened, logs.sinks(), ready.workers).map_err(StartError::System)?;

    // Last, so that nothing is owned before it is served.
    let cluster =
        ready.cluster.map(|cluster| cluster.start(&events, &shared)).transpose().map_err(StartError::System)?;
    if let Some(cluster) = &cluster {
        acme.take_desk(cluster.desk());
    }
    let (admin, admin_now) = watch::channel(ready.resources.admin);
    let control = ready.control.as_ref().map(ControlSocket::listener).transpose().map_err(StartError::System)?;
    let doors = Doors { control, admin: admin_now, log: logs.tail() };
    serve(&handle, doors, ready.service);
    follow_signals(signals, &events);
    if !ready.is_last_good {
        ready.state.save_last_good(&running.texts);
    }
    let by = if ready.is_last_good { "the start, from the last good copy" } else { "the start" };
    running.kept_as = ready.state.history().keep(&running.texts, (clock::unix_now().as_secs(), by), Vec::new());
    let control = ready.control.as_ref().map(|control| control.path().to_owned());
    let (is_last_good, descriptors) = (ready.is_last_good, ready.descriptors);
    let about = About { started: clock::now(), first_config: config, is_last_good, control, descriptors };
    let mut supervisor = Supervisor {
        origin: ready.origin,
        state: ready.state,
        own_secrets: ready.own_secrets,
        hash_seed: ready.hash_seed,
        shared,
        crew,
        keeper,
        intents,
        journal,
        probes,
        zonefiles,
        lookups,
        resolver,
        running,
        logs,
        sessions,
        dns,
        acme,
        watchdog: Watchdog::new(),
        admin,
        events,
        cluster,
        others: Others::default(),
        parted: None,
        about,
    };
    supervisor.tell_all();
    supervisor.follow_node();
    Ok((supervisor, ready.control))
}

/// The zone-file checker, with the first verdicts.
fn first_zonefiles(
    state: &State,
    Handle { events, journal }: &Handle,
    config: &Config,
    running: &Running,
) -> Result<Zonefiles, StartError> {
    let mut zonefiles = Zonefiles::new(state.zonefile_debts(), events.clone(), journal.clone());
    zonefiles.follow(config).map_err(StartError::System)?;
    zonefiles.tell(|| pool_verdicts(&running.views));
    Ok(zonefiles)
}

/// The first configuration in force, with its first snapshot.
fn first_running(
    config: &Arc<Config>,
    (pages, keys, tls): (Pages, TokenKeys, Tls),
    keeper: &Keeper,
    logs: &LogWriters,
    hash_seed: [u8; 16],
    shared: &Arc<Shared>,
) -> Running {
    let views = keeper.views(clock::now());
    let snapshot = Snapshot::build(SnapshotParts {
        generation: 1,
        config: Arc::clone(config),
        servers: &views,
        previous: None,
        token_keys: keys.by_pool(),
        pages: &pages,
        acceptors: tls.acceptors(),
        connectors: tls.connectors(),
        logs: logs.sinks(),
        hash_seed,
        shared,
    });
    Running {
        config: Arc::clone(config),
        texts: Arc::default(),
        kept_as: 0,
        is_rollback: false,
        generation: 1,
        applied_at: clock::unix_now(),
        pages,
        keys,
        tls,
        bound: HashMap::new(),
        snapshot,
        views,
        number: 1,
    }
}

/// The keeper, with what the last process knew and what the first look-ups gave.
fn keeper(
    (state, me): (&State, Option<u32>),
    config: &Config,
    answers: &BTreeMap<String, Answer>,
) -> (Keeper, Intents) {
    let now = clock::now();
    let mut keeper = Keeper::new(state.verdicts().aged(clock::unix_now()));
    keeper.adopt(config, now);
    for (host, answer) in answers {
        for noted in keeper.resolved(host, answer.clone().map(|(addrs, _)| addrs), now) {
            noted.log();
        }
    }
    let intents = intents((state, me), config, &mut keeper);
    (keeper, intents)
}

/// What operators ordered of the last process, as far as it still holds. `me` is this node in its cluster.
fn intents((state, me): (&State, Option<u32>), config: &Config, keeper: &mut Keeper) -> Intents {
    let mut intents = state.intents(me);
    let mut lifted = intents.adopt(config);
    lifted.extend(intents.expire(clock::unix_now()));
    for gone in &lifted {
        tracing::warn!(server = %gone.id, "what an operator ordered for {} is lifted: {}", gone.id, gone.why);
    }
    if !lifted.is_empty() {
        // What is not written now is lifted again by the next start.
        let _is_kept = state.save_intents(&intents);
    }
    let ids = config.server_ids();
    for id in ids {
        let Some(intent) = intents.of(&id) else { continue };
        tracing::info!(server = %id, "{id}: {} still holds, ordered by {}", intent.words(), intent.by);
        let ordered = (intent.state.map(|state| state.standing()), intent.weight);
        if let Some(noted) = keeper.steer(&id, ordered, clock::now()) {
            noted.log();
        }
    }
    intents
}

/// A generator for the spread of probes.
fn rng() -> Rng {
    let [a, b, c, d, e, f, g, h, ..] = rng::seed();
    Rng::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// Has the workers accept. The sockets have listened since they were bound, so that nobody was refused meanwhile.
async fn open_doors(crew: &Crew, snapshot: &Arc<Snapshot>, opened: Vec<Opened>) -> Result<(), Refusal> {
    let silent = |Silent(index): Silent| Refusal::plain(format!("worker {index} does not answer"));
    let room = crew.room(FIRST_APPLY).await.map_err(silent)?;
    room.apply(snapshot, opened, &[]).all(FIRST_APPLY).await.map_err(silent)
}

fn take_signals(use_of: SignalUse) -> io::Result<Option<Signals>> {
    (use_of == SignalUse::Take).then(Signals::take).transpose()
}

fn follow_signals(signals: Option<Signals>, events: &mpsc::Sender<Event>) {
    if let Some(signals) = signals {
        tasks::start_task(tasks::SIGNALS, events, signals.listen(events.clone()));
    }
}

/// Has the doors answered.
fn serve(handle: &Handle, doors: Doors, service: Option<Service>) {
    if let Some(service) = service {
        tasks::start_task(tasks::SERVICE, &handle.events, service(handle.clone(), doors));
    }
}

fn bound(opened: &[Opened]) -> HashMap<ListenerName, SocketAddr> {
    let first = |(name, sockets): &Opened| {
        let addr = sockets.first().and_then(|socket| socket.local_addr().ok());
        addr.map(|addr| (name.clone(), addr))
    };
    opened.iter().filter_map(first).collect()
}
