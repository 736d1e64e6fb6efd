//! Learned sessions between the node and the API. Tables are looked through beside the node's own thread, which judges servers meanwhile.

use evenkeel_admin::report::{
    ServerSessionsReport, SessionListReport, SessionReport, SessionTableReport, SessionsChanged,
};
use evenkeel_admin::{Answer, SessionChoice, Sessions, SessionsRefused};
use evenkeel_model::ServerName;
use evenkeel_node::{NoSession, PoolSessions, SessionBook, SessionFilter, SessionInfo};

use crate::control::Running;

impl Sessions for Running {
    fn list(&self, choice: SessionChoice, limit: usize) -> Answer<'_, Result<SessionListReport, SessionsRefused>> {
        Box::pin(self.through(move |book| {
            let found = book.list(&filter(choice), limit)?;
            let sessions = found.sessions.into_iter().map(session).collect();
            Ok(SessionListReport { sessions, total: found.total, at: found.at })
        }))
    }

    fn tables(&self) -> Answer<'_, Vec<SessionTableReport>> {
        Box::pin(async {
            let tables = self.through(|book| Ok(book.counts().into_iter().map(table).collect())).await;
            tables.unwrap_or_default()
        })
    }

    fn move_to(&self, choice: SessionChoice, to: String) -> Answer<'_, Result<SessionsChanged, SessionsRefused>> {
        Box::pin(self.through(move |book| Ok(SessionsChanged { changed: book.move_all(&filter(choice), &to)? })))
    }

    fn forget(&self, choice: SessionChoice) -> Answer<'_, Result<SessionsChanged, SessionsRefused>> {
        Box::pin(self.through(move |book| Ok(SessionsChanged { changed: book.drop_all(&filter(choice))? })))
    }
}

impl Running {
    async fn through<T: Send + 'static>(
        &self,
        look: impl FnOnce(SessionBook) -> Result<T, NoSession> + Send + 'static,
    ) -> Result<T, SessionsRefused> {
        let book = self.handle.sessions().await.map_err(|_| SessionsRefused::Stopping)?;
        let looked = tokio::task::spawn_blocking(move || look(book)).await;
        looked.map_err(|_| SessionsRefused::Stopping)?.map_err(|refused| match refused {
            NoSession::Pool(pool) => SessionsRefused::Pool(pool),
            NoSession::Server { server, pool } => SessionsRefused::Server { server, pool },
        })
    }
}

fn filter(choice: SessionChoice) -> SessionFilter {
    let SessionChoice { pool, server, client, session } = choice;
    SessionFilter { pool, server, client, session }
}

fn session(info: SessionInfo) -> SessionReport {
    let SessionInfo { name, pool, server, client, born, seen, presented, roams } = info;
    let (client, born, seen) = (client.to_string(), born.into(), seen.into());
    SessionReport { name, pool, server, client, born, seen, presented, roams }
}

fn table(pool: PoolSessions) -> SessionTableReport {
    let server = |(server, live, presented): (ServerName, u64, u64)| ServerSessionsReport {
        server: server.to_string(),
        live,
        presented,
    };
    let stats = pool.stats;
    SessionTableReport {
        pool: pool.pool.to_string(),
        servers: pool.servers.into_iter().map(server).collect(),
        held: stats.held,
        bytes: stats.bytes,
        learned: stats.learned,
        hits: stats.hits,
        misses: stats.misses,
        refused: stats.refused,
        unread: stats.unread,
        evicted_new: stats.evicted_new,
        evicted_used: stats.evicted_used,
    }
}
