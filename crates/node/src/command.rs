//! A program that is run to its end: bounded in time, killed with everything that it started, its last words kept.
//!
//! The invariant: whoever stops waiting for a command has it killed.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::process;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::origin::words;

/// How long to read on after a command has ended, for its last words.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// Everything that its environment holds; `None`: what ours does.
    pub(crate) environment: Option<Vec<(String, String)>>,
}

impl Invocation {
    /// These words, in our environment.
    pub(crate) fn of(words: &[String]) -> Self {
        Self { words: words.to_vec(), environment: None }
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The beginning of its standard output.
    pub(crate) out: Vec<u8>,
    /// The beginning of its standard error.
    pub(crate) err: Vec<u8>,
}

impl Ended {
    /// How it ended, with the last line of what it said.
    pub(crate) fn sentence(&self) -> String {
        let how = format!("it ended with {}", self.status).replace("exit status: ", "exit status ");
        with_words(&how, [&self.err, &self.out])
    }
}

/// Runs a command to its end. After `timeout` it is killed, with everything that it started.
///
/// What it leaves behind may go on writing: it is read for as long as it does, since a daemon whose pipe breaks may die.
///
/// # Errors
/// Why there is no end of its own to tell of, with the last line of what it said.
pub(crate) async fn run(invocation: Invocation, timeout: Duration) -> Result<Ended, String> {
    let mut child = start(&invocation).map_err(|error| format!("it cannot be started: {}", words(&error)))?;
    let (mut out, mut err) = (Said::new(child.stdout.take()), Said::new(child.stderr.take()));
    let mut running = Running { child, has_ended: false };
    let ended = tokio::time::timeout(timeout, running.ended(&mut out, &mut err)).await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(words(&error)),
        Err(_) => {
            let count = running.kill();
            let _ = running.child.wait().await;
            let late = format!("it ran for more than {} s and was killed ({count} processes)", timeout.as_secs_f64());
            return Err(with_words(&late, [&err.kept, &out.kept]));
        }
    };
    let rest = async { tokio::join!(out.read_out(), err.read_out()) };
    // What it left behind may hold the pipes open for ever.
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    Ok(Ended { status, out: out.leave(), err: err.leave() })
}

fn start(invocation: &Invocation) -> io::Result<Child> {
    let (program, arguments) = invocation.words.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(environment) = &invocation.environment {
        command.env_clear().envs(environment.iter().cloned()).current_dir("/");
    }
    command.spawn()
}

/// A child that is killed with its tree where nobody waits for it any more.
struct Running {
    child: Child,
    has_ended: bool,
}

impl Running {
    /// Waits for the end, and reads along: a program whose pipe is full would wait for us.
    async fn ended(&mut self, out: &mut Said<ChildStdout>, err: &mut Said<ChildStderr>) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    self.has_ended = true;
                    return status;
                }
                () = out.read(), if out.pipe.is_some() => {}
                () = err.read(), if err.pipe.is_some() => {}
            }
        }
    }

    fn kill(&mut self) -> usize {
        self.has_ended = true;
        self.child.id().map_or(0, process::kill_tree)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.kill();
        }
    }
}

/// One output of a command.
struct Said<P> {
    pipe: Option<P>,
    kept: Vec<u8>,
}

impl<P: AsyncRead + Unpin + 'static> Said<P> {
    fn new(pipe: Option<P>) -> Self {
        Self { pipe, kept: Vec::new() }
    }

    /// Reads once. Where there is nothing more to read, the pipe is gone afterwards.
    async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut piece = [0; 1024];
        match pipe.read(&mut piece).await {
            Ok(count) if count > 0 => {
                let room = caps::COMMAND_SAID_BYTES.saturating_sub(self.kept.len()).min(count);
                self.kept.extend_from_slice(piece.get(..room).unwrap_or_default());
            }
            _ => self.pipe = None,
        }
    }

    async fn read_out(&mut self) {
        while self.pipe.is_some() {
            self.read().await;
        }
    }

    /// What was said. A pipe that is still open is read until it closes, and what comes is nobody's.
    fn leave(mut self) -> Vec<u8> {
        let said = std::mem::take(&mut self.kept);
        if let Some(mut pipe) = self.pipe.take() {
            tokio::task::spawn_local(async move {
                let mut piece = [0; 1024];
                while pipe.read(&mut piece).await.is_ok_and(|count| count > 0) {}
            });
        }
        said
    }
}

fn with_words(what: &str, said: [&[u8]; 2]) -> String {
    let last = said.into_iter().find_map(|said| {
        let text = String::from_utf8_lossy(said);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(shortened(line))
    });
    last.map_or_else(|| what.to_owned(), |last| format!("{what}: {last}"))
}

/// A command's line, no longer than a sentence bears.
pub(crate) fn shortened(line: &str) -> String {
    match line.char_indices().nth(caps::COMMAND_LINE_CHARS) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;
    use crate::scratch::Scratch;

    const LONG: Duration = Duration::from_secs(20);

    fn sh(script: &str) -> Invocation {
        Invocation::of(&["sh", "-c", script].map(str::to_owned))
    }

    fn beside<T>(future: impl Future<Output = T>) -> T {
        crate::run_beside(future).unwrap()
    }

    #[test]
    fn a_command_says_how_it_ended_and_why() {
        beside(async {
            assert!(run(sh("exit 0"), LONG).await.unwrap().status.success());
            let ended = run(sh("echo what; echo no such zone >&2; exit 3"), LONG).await.unwrap();
            assert_eq!(ended.sentence(), "it ended with exit status 3: no such zone");
            assert_eq!(ended.out, b"what\n");
            let ended = run(sh("echo only this; exit 1"), LONG).await.unwrap();
            assert_eq!(ended.sentence(), "it ended with exit status 1: only this");
            let ended = run(sh("printf '\\377%.0s' $(seq 3000) >&2; exit 1"), LONG).await.unwrap();
            let line = "\u{fffd}".repeat(caps::COMMAND_LINE_CHARS);
            assert_eq!(ended.sentence(), format!("it ended with exit status 1: {line}..."));
            let missing = run(Invocation::of(&["/nonexistent/rndc".to_owned()]), LONG).await.unwrap_err();
            assert!(missing.contains("cannot be started: no such file"), "{missing}");
            // More than a pipe holds does not hold it up, nor does a child that outlives it with the pipes open.
            assert!(run(sh("yes x | head -c 200000 >&2"), LONG).await.unwrap().status.success());
            assert!(run(sh("sleep 3 & exit 0"), LONG).await.unwrap().status.success());
        });
    }

    #[test]
    fn an_environment_that_is_given_is_all_there_is() {
        let environment = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("A".to_owned(), "b".to_owned())];
        let invocation = Invocation { environment: Some(environment), ..sh("echo $A; pwd; echo ${HOME-none}") };
        assert_eq!(beside(run(invocation, LONG)).unwrap().out, b"b\n/\nnone\n");
    }

    /// What was killed may take its moment to end.
    fn await_end(pid: &str) {
        let deadline = evenkeel_net::clock::now() + LONG;
        while !is_gone(pid) {
            assert!(evenkeel_net::clock::now() < deadline, "process {pid} lives on");
            std::thread::yield_now();
        }
    }

    fn is_gone(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z")
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let dir = Scratch::new();
        let mark = dir.path().join("pid");
        let script = format!("setsid sleep 600 & echo $! > {}; echo stuck >&2; wait", mark.display());
        let why = beside(run(sh(&script), Duration::from_secs(2))).unwrap_err();
        assert!(why.contains("more than 2 s and was killed") && why.ends_with(": stuck"), "{why}");
        await_end(&std::fs::read_to_string(mark).unwrap());
    }

    #[test]
    fn a_command_that_nobody_waits_for_is_killed() {
        let dir = Scratch::new();
        let mark = dir.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", mark.display());
        beside(async {
            let running = run(sh(&script), LONG);
            let until = async {
                while !mark.exists() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! { _ = running => panic!("it ended by itself"), () = until => {} }
            let pid = std::fs::read_to_string(&mark).unwrap();
            // Killed, and waited for by the runtime a moment later.
            while !is_gone(&pid) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
}
