//! The numbers in the columns that tools for HAProxy's statistics read.
//!
//! A row for each listener (`FRONTEND`), server and pool (`BACKEND`), with HAProxy's names of columns in its order; what we do not
//! count is empty, as it is there. Times that HAProxy gives as averages of the last 1024 requests are the medians of the
//! last minute.
//!
//! The invariant: every row has as many cells as the head, and no name ends its cell.

use std::fmt::Display;

use crate::report::{ListenerReport, PoolReport, ServerReport, StatusReport, TrafficReport};

/// The columns, in HAProxy's order (management guide, section 9.1).
const COLUMNS: &str = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,\
chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,\
check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,\
comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,\
check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,\
conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,\
rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,\
agg_server_check_status,agg_check_status,";

/// Every listener, server and pool as a row.
pub(crate) fn text(report: &StatusReport) -> String {
    let mut out = format!("# {COLUMNS}\n");
    for (at, listener) in report.listeners.iter().enumerate() {
        let mut row = Row::new(&listener.name, "FRONTEND");
        frontend(&mut row, listener);
        row.ids(at, 0, 0);
        row.end(&mut out);
    }
    for (at, pool) in report.pools.iter().enumerate() {
        let iid = report.listeners.len().saturating_add(at);
        let mode = mode_of(pool, report);
        for (sid, server) in pool.servers.iter().enumerate() {
            let mut row = Row::new(&pool.name, &server.name);
            one(&mut row, server);
            row.set("mode", mode);
            row.ids(iid, sid.saturating_add(1), 2);
            row.end(&mut out);
        }
        let mut row = Row::new(&pool.name, "BACKEND");
        backend(&mut row, pool);
        row.set("mode", mode);
        row.ids(iid, 0, 1);
        row.end(&mut out);
    }
    out
}

/// HAProxy's word for what is carried.
fn mode(protocol: &str) -> &'static str {
    if protocol == "tcp" { "tcp" } else { "http" }
}

/// The same of a pool: what the first listener carries that leads to it.
fn mode_of(pool: &PoolReport, report: &StatusReport) -> &'static str {
    let leads = |listener: &&ListenerReport| {
        listener.routes.iter().any(|route| route.pool.as_deref() == Some(pool.name.as_str()))
    };
    report.listeners.iter().find(leads).map_or("http", |listener| mode(&listener.protocol))
}

fn frontend(row: &mut Row, listener: &ListenerReport) {
    row.set("scur", listener.connections).set("stot", listener.accepted).set("conn_tot", listener.accepted);
    row.set("req_tot", listener.requests).set("status", "OPEN").set("mode", mode(&listener.protocol));
    if let Some(live) = &listener.traffic.live {
        row.set("req_rate", live.requests_per_s.round());
    }
    row.traffic(&listener.traffic);
}

fn backend(row: &mut Row, pool: &PoolReport) {
    let serving = |backup: bool| pool.servers.iter().filter(move |it| it.is_serving() && it.backup == backup);
    let sum = |of: fn(&ServerReport) -> u64| pool.servers.iter().map(of).fold(0, u64::saturating_add);
    row.set("qcur", pool.queued).set("scur", sum(|it| it.in_flight)).set("stot", pool.requests);
    row.set("req_tot", pool.requests).set("act", serving(false).count()).set("bck", serving(true).count());
    row.set("status", if pool.servers.iter().any(ServerReport::is_serving) { "UP" } else { "DOWN" });
    row.set("weight", serving(false).map(|it| u64::from(it.weight)).sum::<u64>());
    row.set("connect", sum(|it| it.connects)).set("reuse", sum(|it| it.reused));
    row.traffic(&pool.traffic);
}

fn one(row: &mut Row, server: &ServerReport) {
    row.set("scur", server.in_flight).set("stot", server.requests).set("lbtot", server.requests);
    row.set("req_tot", server.requests).set("eresp", server.failures).set("status", status(server));
    row.set("weight", server.weight).set("uweight", server.weight).set("lastchg", server.since_s);
    row.set("act", u8::from(!server.backup)).set("bck", u8::from(server.backup)).set("addr", &server.address);
    row.set("connect", server.connects).set("reuse", server.reused);
    if server.is_checked {
        row.set("check_status", check(server)).set("last_chk", server.last_answer.as_deref().unwrap_or_default());
        row.set("check_desc", &server.text);
    }
    if server.ramp_percent < 100 && server.state == "up" {
        row.set("throttle", server.ramp_percent);
    }
    if let Some(live) = &server.traffic.live {
        row.set("rate", live.requests_per_s.round());
    }
    row.traffic(&server.traffic);
}

/// HAProxy's word for a state.
fn status(server: &ServerReport) -> &'static str {
    match server.state.as_str() {
        "up" | "unknown" if !server.is_checked => "no check",
        "up" | "unknown" => "UP",
        "draining" => "DRAIN",
        "maintenance" => "MAINT",
        _ => "DOWN",
    }
}

/// HAProxy's code for what a check found.
fn check(server: &ServerReport) -> &'static str {
    match server.reason.as_str() {
        "initial" => "INI",
        "check-passed" => "L7OK",
        "connect-refused" | "unreachable" | "connection-lost" => "L4CON",
        "connect-timeout" => "L4TOUT",
        "answer-timeout" => "L7TOUT",
        "status-mismatch" | "not-ready" => "L7STS",
        "answer-malformed" | "body-mismatch" => "L7RSP",
        "local" => "SOCKERR",
        _ => "UNK",
    }
}

/// A row that grows by its columns' names.
struct Row {
    cells: Vec<String>,
}

impl Row {
    fn new(proxy: &str, service: &str) -> Self {
        let mut row = Self { cells: vec![String::new(); COLUMNS.split(',').count().saturating_sub(1)] };
        row.set("pxname", proxy.strip_prefix('@').unwrap_or(proxy)).set("svname", service).set("pid", 1);
        row
    }

    fn set(&mut self, column: &str, value: impl Display) -> &mut Self {
        let at = COLUMNS.split(',').position(|name| name == column);
        if let Some(cell) = at.and_then(|at| self.cells.get_mut(at)) {
            *cell = quoted(&value.to_string());
        }
        self
    }

    fn ids(&mut self, proxy: usize, service: usize, kind: u8) {
        self.set("iid", proxy.saturating_add(1)).set("sid", service).set("type", kind);
    }

    fn traffic(&mut self, traffic: &TrafficReport) {
        self.set("bin", traffic.bytes_in).set("bout", traffic.bytes_out);
        for (class, column) in
            [("1xx", "hrsp_1xx"), ("2xx", "hrsp_2xx"), ("3xx", "hrsp_3xx"), ("4xx", "hrsp_4xx"), ("5xx", "hrsp_5xx")]
        {
            self.set(column, traffic.by_class.get(class).copied().unwrap_or(0));
        }
        if let Some(ms) = traffic.live.as_ref().and_then(|live| live.p50_ms) {
            self.set("ttime", ms.round());
        }
    }

    fn end(self, out: &mut String) {
        for cell in &self.cells {
            out.push_str(cell);
            out.push(',');
        }
        out.push('\n');
    }
}

/// A cell; in quotes where it would end otherwise (RFC 4180 section 2), and without what begins a formula in spreadsheets.
fn quoted(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text };
    if text.contains(['"', ',']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_wide_as_the_head_and_names_stay_in_their_cells() {
        let server = ServerReport { name: "a,\"b\n".to_owned(), state: "down".to_owned(), ..ServerReport::default() };
        let report = StatusReport {
            listeners: vec![ListenerReport { name: ":80".to_owned(), accepted: 7, ..ListenerReport::default() }],
            pools: vec![PoolReport { name: "=shop".to_owned(), servers: vec![server], ..PoolReport::default() }],
            ..StatusReport::default()
        };
        let text = text(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("# pxname,svname,qcur,") && lines[0].ends_with(",agg_check_status,"));
        assert!(lines[1].starts_with(":80,FRONTEND,,,0,,,7,"), "{}", lines[1]);
        assert!(lines[2].starts_with("'=shop,\"a,\"\"b \",,,0,"), "{}", lines[2]);
        assert!(lines[2].contains(",DOWN,"), "{}", lines[2]);
        for line in [lines[0], lines[1], lines[3]] {
            assert_eq!(line.matches(',').count(), lines[0].matches(',').count(), "{line}");
        }
    }
}
