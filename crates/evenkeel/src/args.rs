//! The command line's words. Help, completions and man pages are made of these same definitions.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Where the configuration is unless a file is given.
pub(crate) const DEFAULT_FILE: &str = "/etc/evenkeel/evenkeel.conf";

/// Keeps a web service up: a load balancer for HTTP and TCP, failover of addresses between nodes, and DNS by health.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 bad configuration or usage, 3 done in part, 4 no daemon")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve, in the foreground
    Run(RunArgs),
    /// Show it at work: toy servers, a balancer and some load, without a file and without root
    Demo(DemoArgs),
    /// Say whether a configuration is good, and everything that is wrong with it
    Check(CheckArgs),
    /// Lay configuration files out in the customary form
    Fmt(FmtArgs),
    /// Park the records of zone files whose servers do not answer, and put them back when they do
    #[command(subcommand)]
    Zonefile(ZonefileCommand),
    /// As the old script of that name: -c COMMAND, -t SECONDS, files and directories
    #[command(name = "bind9_check_balancer")]
    Balancer(BalancerArgs),
    /// Have the running daemon read its configuration anew; done when traffic sees it
    Reload(RemoteArgs),
    /// Show how the running daemon and its servers are
    Status(RemoteArgs),
    /// Follow the running daemon and its servers on the terminal
    Top(TopArgs),
    /// Let a server, or with `--node` this node, keep what it has and get nothing new; done when all traffic sees it
    Drain(AsideArgs),
    /// Take a server out of service altogether; done when all traffic sees it
    Maint(OrderArgs),
    /// Lift what was ordered of a server, or with `--node` of this node; done when all traffic sees it
    Ready(AsideArgs),
    /// Give a server another share of the traffic; done when all traffic sees it
    Weight(WeightArgs),
    /// Look at the sessions that answers told, move them, end them
    #[command(subcommand)]
    Session(SessionCommand),
    /// Say which route, pool and server a request would get at this moment, and why
    Route(RouteArgs),
    /// Stop the running daemon: no new connections, open ones may finish
    Stop(StopArgs),
    /// Explain a word of the configuration, or the code of a diagnostic
    Explain {
        /// The word (`sticky`) or code (`E104`)
        word: String,
    },
    /// Look at the cluster, and move its groups between nodes
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Hold service addresses for the process that started this one
    #[command(name = "address-guard", hide = true)]
    AddressGuard,
    /// Make the hash of a password for a user of `admin`, or a token with its hash
    Passwd(PasswdArgs),
    /// Show the configuration: as it is understood, as it runs, as it was; and go back
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what the running daemon answers to queries of DNS
    #[command(subcommand)]
    Dns(DnsCommand),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages into a directory, or this program's to the standard output
    Man {
        /// The directory
        dir: Option<PathBuf>,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration [default: /etc/evenkeel/evenkeel.conf]
    pub(crate) file: Option<PathBuf>,
    /// Listen here instead of reading a file (`:8080`, `127.0.0.1:8080`); may be repeated
    #[arg(long, value_name = "ADDR", value_delimiter = ',', conflicts_with = "file", requires = "to")]
    pub(crate) listen: Vec<String>,
    /// Balance over these servers
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', conflicts_with = "file", requires = "listen")]
    pub(crate) to: Vec<String>,
    /// Keep each client on its server, by a cookie (of that name)
    #[arg(long, value_name = "COOKIE", num_args = 0..=1, require_equals = true, default_missing_value = "", requires = "listen")]
    pub(crate) sticky: Option<String>,
    /// Check the servers by asking for this path
    #[arg(long, value_name = "PATH", requires = "listen")]
    pub(crate) check: Option<String>,
    /// Print the configuration that the flags amount to, and do nothing else
    #[arg(long, requires = "listen")]
    pub(crate) print_config: bool,
    /// If the file is broken, serve the configuration that was last in use
    #[arg(long, conflicts_with = "listen")]
    pub(crate) last_good: bool,
    /// Keep what outlives the process here, whatever the configuration says
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Put the control socket here, whatever the configuration says
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
    /// Which node of its cluster this is [default: the one with the machine's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// How much to say on the standard error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Listen at this port [default: 8080 or the next free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Do not wait for keys: show everything in some twenty seconds, and end
    #[arg(long)]
    pub(crate) tour: bool,
    /// Show DNS instead: two nodes that answer names by what is healthy, and a client that asks them
    #[arg(long, conflicts_with = "port")]
    pub(crate) dns: bool,
    /// Show failover instead: two nodes and one address that moves between them, and a client that knows it alone
    #[arg(long, conflicts_with_all = ["port", "dns"])]
    pub(crate) ha: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration, `-` for the standard input [default: /etc/evenkeel/evenkeel.conf]
    pub(crate) file: Option<PathBuf>,
    /// End with 3 where there are warnings
    #[arg(long)]
    pub(crate) strict: bool,
    /// Look at the configuration alone: look up no server's name, read no secret, certificate, error page or log that it names
    #[arg(long)]
    pub(crate) offline: bool,
    /// The file is this zone's; a zone file is known as one without it where it tells its zone
    #[arg(long, value_name = "NAME")]
    pub(crate) zone: Option<String>,
    /// How diagnostics look. At most 100 are shown, errors before warnings; the last line counts all
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZonefileCommand {
    /// Ask the targets and say what would change; change nothing
    Check(ZonefileArgs),
    /// Do one round: ask, edit what is to be edited, run the command
    Fix(ZonefileFixArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ZonefileArgs {
    /// Zone files, patterns, and directories that hold some
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How long one probe may take
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = patience)]
    pub(crate) timeout: Patience,
    /// Probes passed in a row before a parked record comes back
    #[arg(long, value_name = "NUMBER", default_value_t = evenkeel_model::defaults::ZONEFILE_RISE, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rise: u16,
    /// Probes failed in a row before a record is parked
    #[arg(long, value_name = "NUMBER", default_value_t = evenkeel_model::defaults::ZONEFILE_FALL, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) fall: u16,
    /// Ask for this path by HTTP instead of only connecting
    #[arg(long, value_name = "PATH", value_parser = url_path)]
    pub(crate) http: Option<String>,
    /// The host to ask for by HTTP
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(crate) host: Option<String>,
    /// Send the changes to this live server (RFC 2136) instead of editing the files
    #[arg(long, value_name = "ADDR:PORT", requires = "key")]
    pub(crate) update: Option<std::net::SocketAddr>,
    /// The file with the key that signs updates
    #[arg(long, value_name = "FILE", requires = "update")]
    pub(crate) key: Option<PathBuf>,
    /// The zone to update, where the file does not tell it
    #[arg(long, value_name = "NAME", requires = "update")]
    pub(crate) zone: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ZonefileFixArgs {
    #[command(flatten)]
    pub(crate) round: ZonefileArgs,
    /// Run this after a change, words split at blanks; {zone} and {file} stand for what was changed
    #[arg(long, value_name = "COMMAND", conflicts_with = "update")]
    pub(crate) then: Option<String>,
    /// How long the command may run
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = patience)]
    pub(crate) then_timeout: Patience,
    /// Change nothing, and show the lines that would
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BalancerArgs {
    /// The command to run after a change; a shell reads it
    #[arg(short = 'c', value_name = "COMMAND")]
    pub(crate) command: String,
    /// How many seconds a connection may take
    #[arg(short = 't', value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub(crate) timeout: u16,
    /// Zone files and directories
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// A duration on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) std::time::Duration);

fn patience(text: &str) -> Result<Patience, String> {
    const MOST: u64 = 3600 * 1000;
    let shape = || format!("`{text}` is no duration; write `500ms`, `2s` or `1m`");
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let (number, unit) =
        units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor))).ok_or_else(shape)?;
    let millis = number.parse::<u64>().map_err(|_| shape())?.saturating_mul(unit);
    if !(10..=MOST).contains(&millis) {
        return Err(format!("`{text}` is out of range: 10ms to 60m"));
    }
    Ok(Patience(std::time::Duration::from_millis(millis)))
}

fn url_path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is no path; write one that begins with `/`"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// With the lines in question
    Human,
    /// An array, for programs
    Json,
    /// A line each, for editors
    Short,
}

#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// The files to rewrite; none, or `-`, reads the standard input and writes the standard output
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing, name the files that would change, and end with 1 if there are any
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The daemon's control socket [default: the first of the customary places where one answers]
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Look again after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2")]
    pub(crate) every: f64,
    /// Print one screen as plain text, and end
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// The server, as `status` shows it: POOL/SERVER
    #[arg(value_name = "POOL/SERVER")]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AsideArgs {
    /// The server, as `status` shows it: POOL/SERVER
    #[arg(value_name = "POOL/SERVER", required_unless_present = "node")]
    pub(crate) server: Option<String>,
    /// This node as a whole: its groups go to other nodes, DNS answers with those, connections end with their answers
    #[arg(long, conflicts_with = "server", conflicts_with = "lasting")]
    pub(crate) node: bool,
    #[command(flatten)]
    pub(crate) how: HowArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// Wait until nobody is left there, at most so long; ends with 3 where somebody still is
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<String>,
    /// Lift it after so long (`90s`, `30m`, `2h`, `1d`) [default: it holds until it is lifted]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) lasting: Option<String>,
    /// Why, for whoever looks at `status` later
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the nodes, who hears whom, and who owns what
    Status(RemoteArgs),
    /// Have this node own a group; done when it does
    Takeover(TakeoverArgs),
    /// Have another node own a group; done when one does
    Standby(GroupArgs),
    /// Let this node own a group again, after `standby` or after a failure
    Ready(GroupArgs),
    /// Make a key on this machine, and show the one line that lets another node in
    Init(ClusterInitArgs),
    /// Make a secret for the nodes of a cluster
    Key,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterInitArgs {
    /// Where the key is to be. One that is there already is kept
    #[arg(long, value_name = "FILE", default_value = "/etc/evenkeel/cluster.key")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct GroupArgs {
    /// The group [default: all]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TakeoverArgs {
    #[command(flatten)]
    pub(crate) group: GroupArgs,
    /// Move nothing, and say what would
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WeightArgs {
    #[command(flatten)]
    pub(crate) order: OrderArgs,
    /// 0 to 1000, or percent of the configured weight (`50%`); `100%` lifts it
    pub(crate) weight: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List them, those seen last first, and how many live on each server
    List {
        #[command(flatten)]
        choice: SessionChoiceArgs,
        /// How many to show
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = session_limit)]
        limit: usize,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show one in full
    Show {
        /// Its name as `list` shows it, or the application's id
        session: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Bind them to another server of their pool, from their next request on
    Move {
        #[command(flatten)]
        choice: SessionChoiceArgs,
        /// The server to move them to
        #[arg(long, value_name = "SERVER")]
        to: String,
        /// All of them, where nothing else chooses
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Forget them: their next requests are balanced afresh
    Drop {
        #[command(flatten)]
        choice: SessionChoiceArgs,
        /// All of them, where nothing else chooses
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SessionChoiceArgs {
    /// The one of this name as `list` shows it, or of this id of the application
    pub(crate) session: Option<String>,
    /// Those of this pool
    #[arg(long)]
    pub(crate) pool: Option<String>,
    /// Those that live on this server: its name, or POOL/SERVER as `list` shows it
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Those that this address spoke for last; of IPv6 its /64 counts
    #[arg(long, value_name = "ADDR")]
    pub(crate) client: Option<IpAddr>,
}

fn session_limit(text: &str) -> Result<usize, String> {
    let most = evenkeel_model::caps::SESSIONS_LISTED;
    let fits = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    fits.ok_or_else(|| format!("`{text}` is out of range: 1 to {most}"))
}

#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The request's URL, or its path alone
    pub(crate) url: String,
    /// Its method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: String,
    /// A field of its head; may be repeated
    #[arg(short = 'H', long = "field", value_name = "NAME: VALUE")]
    pub(crate) fields: Vec<String>,
    /// The client's address [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// The listener, as `status` shows it [default: the one with the URL's port]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listener: Option<String>,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PasswdArgs {
    /// Make a token for programs (`Authorization: Bearer`) instead of asking for a password
    #[arg(long)]
    pub(crate) token: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Return at once instead of waiting until the daemon has ended
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// The daemon's control socket [default: the first of the customary places where one answers]
    #[arg(long, value_name = "PATH")]
    pub(crate) control: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Say what a query gets now, and why
    Query(DnsQueryArgs),
    /// List the zones, and the names whose addresses are chosen by health
    Zones(RemoteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DnsQueryArgs {
    /// The name
    pub(crate) name: String,
    /// The type
    #[arg(value_name = "TYPE", default_value = "A")]
    pub(crate) kind: String,
    /// As if this client asked, for names that are spread by client
    #[arg(long, value_name = "ADDR")]
    pub(crate) client: Option<IpAddr>,
    /// As if this address of the node was asked, for names answered with it
    #[arg(long, value_name = "ADDR")]
    pub(crate) at: Option<IpAddr>,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a configuration, without comments and with everything included
    Show {
        /// The configuration [default: /etc/evenkeel/evenkeel.conf]
        file: Option<PathBuf>,
        /// As its JSON twin
        #[arg(long)]
        json: bool,
        /// With every default that is in force
        #[arg(long)]
        defaults: bool,
        /// What the running daemon uses, byte for byte
        #[arg(long, conflicts_with_all = ["file", "json", "defaults"])]
        running: bool,
        /// The configuration of that number in the daemon's history, byte for byte
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["file", "json", "defaults", "running"])]
        kept: Option<u64>,
        /// The daemon's control socket [default: the first of the customary places where one answers]
        #[arg(long, value_name = "PATH")]
        control: Option<PathBuf>,
    },
    /// Show what a reload would change; or what lies between any two configurations
    Diff {
        /// The first: `running`, `file` or a number of the history
        #[arg(default_value = "running")]
        from: String,
        /// The second
        #[arg(default_value = "file")]
        to: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// List the configurations that were applied
    History(RemoteArgs),
    /// Apply a configuration of the history again; the file stays as it is
    Rollback {
        /// Its number [default: the one before the one that runs]
        number: Option<u64>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Print the JSON schema of the JSON twin
    Schema,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_and_a_file_exclude_each_other() {
        assert!(Cli::try_parse_from(["evenkeel", "run", "a.conf", "--listen", ":1", "--to", "b:2"]).is_err());
        assert!(Cli::try_parse_from(["evenkeel", "run", "--listen", ":1"]).is_err());
        assert!(Cli::try_parse_from(["evenkeel", "run", "--last-good", "a.conf"]).is_ok());
    }

    #[test]
    fn sticky_takes_a_cookie_or_nothing() {
        let sticky = |args: &[&str]| {
            let fixed = ["evenkeel", "run", "--listen", ":1", "--to", "a:1,b:2"];
            let cli = Cli::try_parse_from(fixed.iter().chain(args)).unwrap();
            let Command::Run(run) = cli.command else { panic!("it is a run") };
            assert_eq!(run.to, ["a:1", "b:2"]);
            run.sticky
        };
        assert_eq!(sticky(&[]), None);
        assert_eq!(sticky(&["--sticky"]).as_deref(), Some(""));
        assert_eq!(sticky(&["--sticky=SRV"]).as_deref(), Some("SRV"));
    }
}
