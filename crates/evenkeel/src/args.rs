//! The command line's words. Help, completions and man pages are made of these same definitions.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Where the configuration is unless a file is given.
pub(crate) const DEFAULT_FILE: &str = "/etc/evenkeel/evenkeel.conf";

/// Keeps a web service up: a load balancer for HTTP.
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
    /// Have the running daemon read its configuration anew; done when traffic sees it
    Reload(RemoteArgs),
    /// Show how the running daemon and its servers are
    Status(RemoteArgs),
    /// Follow the running daemon and its servers on the terminal
    Top(TopArgs),
    /// Let a server keep its sessions and get no new ones; done when all traffic sees it
    Drain(OrderArgs),
    /// Take a server out of service altogether; done when all traffic sees it
    Maint(OrderArgs),
    /// Lift what was ordered of a server; done when all traffic sees it
    Ready(OrderArgs),
    /// Give a server another share of the traffic; done when all traffic sees it
    Weight(WeightArgs),
    /// Stop the running daemon: no new connections, open ones may finish
    Stop(StopArgs),
    /// Explain a word of the configuration, or the code of a diagnostic
    Explain {
        /// The word (`sticky`) or code (`E104`)
        word: String,
    },
    /// Make the hash of a password for a user of `admin`, or a token with its hash
    Passwd(PasswdArgs),
    /// Show the configuration as it is understood
    #[command(subcommand)]
    Config(ConfigCommand),
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
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration, `-` for the standard input [default: /etc/evenkeel/evenkeel.conf]
    pub(crate) file: Option<PathBuf>,
    /// End with 3 where there are warnings
    #[arg(long)]
    pub(crate) strict: bool,
    /// Do not look up the servers' names
    #[arg(long)]
    pub(crate) offline: bool,
    /// How diagnostics look
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
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
    /// Wait until nobody is left on the server, at most so long; ends with 3 where somebody still is
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

#[derive(Debug, Args)]
pub(crate) struct WeightArgs {
    #[command(flatten)]
    pub(crate) order: OrderArgs,
    /// 0 to 1000, or percent of the configured weight (`50%`); `100%` lifts it
    pub(crate) weight: String,
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
