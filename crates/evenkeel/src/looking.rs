//! Configurations and routes that are looked at, between the node and the API.

use evenkeel_admin::report::{
    ConfigDiff, ConfigText, HistoryEntry, ReloadRefused, ReloadReport, RouteFinding, RouteLooked, ServerFinding,
    TextFile,
};
use evenkeel_admin::{Answer, Configs, NoConfig, RouteQuestion, Routes, Which};
use evenkeel_node::{Explanation, NoSuch, Outcome, Question, Refusal, Reloaded, ServerTried};

use crate::control::Running;

impl Configs for Running {
    fn text(&self, which: Which) -> Answer<'_, Result<ConfigText, NoConfig>> {
        Box::pin(async move {
            let texts = self.handle.texts(wanted(which)).await.map_err(missing)?;
            let file = |(path, text): (&std::path::Path, &str)| TextFile {
                path: path.display().to_string(),
                text: text.to_owned(),
            };
            Ok(ConfigText { files: texts.files().map(file).collect() })
        })
    }

    fn compare(&self, from: Which, to: Which) -> Answer<'_, Result<ConfigDiff, NoConfig>> {
        Box::pin(async move {
            let compared = self.handle.compare(wanted(from), wanted(to)).await.map_err(missing)?;
            let (text, changes, errors) = (compared.text, compared.changes, compared.errors);
            Ok(ConfigDiff { from: name(from), to: name(to), text, changes, errors })
        })
    }

    fn history(&self) -> Answer<'_, Vec<HistoryEntry>> {
        Box::pin(async {
            // A node that has ended has none.
            let (history, running) = self.handle.history().await.unwrap_or_default();
            let entry = |kept: evenkeel_node::Kept| HistoryEntry {
                is_running: kept.number == running,
                number: kept.number,
                at: kept.at,
                by: kept.by,
                changes: kept.changes,
            };
            history.into_iter().map(entry).collect()
        })
    }

    fn rollback(&self, number: u64, by: String) -> Answer<'_, Result<ReloadReport, ReloadRefused>> {
        Box::pin(async move { self.reloaded(self.handle.rollback(number, by).await).await })
    }
}

impl Running {
    /// A reload's outcome in the words of the API.
    pub(crate) async fn reloaded(&self, outcome: Result<Reloaded, Refusal>) -> Result<ReloadReport, ReloadRefused> {
        match outcome {
            Ok(done) => Ok(ReloadReport {
                generation: done.generation,
                kept_as: done.kept_as,
                changes: done.changes.iter().map(ToString::to_string).collect(),
                warnings: done.warnings,
            }),
            Err(refusal) => {
                let generation = self.handle.status().await.map_or(0, |status| status.config.generation);
                Err(ReloadRefused { generation, errors: vec![refusal.report] })
            }
        }
    }
}

impl Routes for Running {
    fn find(&self, question: RouteQuestion) -> Answer<'_, Result<RouteFinding, String>> {
        let RouteQuestion { listener, port, is_port_given, head, client } = question;
        let question = Question { listener, port, is_port_given, head, client };
        Box::pin(async move { self.handle.explain(question).await.map(finding) })
    }
}

fn finding(explanation: Explanation) -> RouteFinding {
    let looked = |route: evenkeel_node::RouteTried| RouteLooked { pattern: route.pattern, misfit: route.misfit };
    let mut finding = RouteFinding {
        listener: explanation.listener,
        hosts: explanation.hosts,
        routes: explanation.routes.into_iter().map(looked).collect(),
        ..RouteFinding::default()
    };
    match explanation.outcome {
        Outcome::Answered { status, why } => {
            // A connection that is passed on has no status.
            (finding.status, finding.text) = ((status > 0).then_some(status), why);
        }
        Outcome::Pool { pool, session, rule, servers, refusal } => {
            finding.text = sentence(&servers, refusal.map(|(_, why)| why));
            finding.status = refusal.map(|(status, _)| status);
            (finding.pool, finding.session, finding.rule) = (Some(pool.to_string()), session, rule);
            finding.servers = servers.iter().map(server).collect();
        }
    }
    finding
}

fn server(tried: &ServerTried) -> ServerFinding {
    ServerFinding {
        name: tried.name.to_string(),
        state: tried.state.to_string(),
        chance_percent: f64::from(tried.chance) / 10.0,
        why: tried.why.clone(),
    }
}

/// Who gets it, in a sentence.
fn sentence(servers: &[ServerTried], refusal: Option<&str>) -> String {
    if let Some(why) = refusal {
        return why.to_owned();
    }
    let names: Vec<&str> =
        servers.iter().filter(|server| server.chance > 0).map(|server| server.name.as_str()).collect();
    match names.as_slice() {
        [] => "no server can serve it".to_owned(),
        [only] => format!("it goes to {only}"),
        several => format!("it goes to one of {}", several.join(", ")),
    }
}

fn wanted(which: Which) -> evenkeel_node::Which {
    match which {
        Which::Running => evenkeel_node::Which::Running,
        Which::File => evenkeel_node::Which::File,
        Which::Kept(number) => evenkeel_node::Which::Kept(number),
    }
}

fn name(which: Which) -> String {
    match which {
        Which::Running => "running".to_owned(),
        Which::File => "file".to_owned(),
        Which::Kept(number) => number.to_string(),
    }
}

fn missing(why: NoSuch) -> NoConfig {
    match why {
        NoSuch::Kept(number) => NoConfig::Unknown(number),
        NoSuch::Gone => NoConfig::Gone,
    }
}
