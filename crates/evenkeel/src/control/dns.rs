//! DNS of the node, in the words of the API.

use evenkeel_admin::report::{BalancedReport, ChosenReport, DnsAnswerReport, DnsReport, ZoneReport};
use evenkeel_admin::{Answer, DnsControl, DnsQuestion};
use evenkeel_node::{BalancedStatus, ChosenServer, DnsAsked, DnsTotals, ZoneStatus};

use super::{Running, number};

impl DnsControl for Running {
    fn query(&self, question: DnsQuestion) -> Answer<'_, Result<DnsAnswerReport, String>> {
        Box::pin(async move {
            let DnsQuestion { name, kind, client, arrived_at } = question;
            let asked = DnsAsked::read(&name, &kind, (client, arrived_at))?;
            let question = asked.to_string();
            let answered = self.handle.dns_query(asked).await.map_err(|gone| gone.to_string())?;
            Ok(DnsAnswerReport {
                question,
                zone: answered.zone,
                rcode: answered.rcode,
                answer: answered.answer,
                authority: answered.authority,
                why: answered.why,
            })
        })
    }

    fn zones(&self) -> Answer<'_, Vec<ZoneReport>> {
        Box::pin(async {
            // A node that ends just now answers nothing any more.
            let zones = self.handle.dns_zones().await.unwrap_or_default();
            zones.into_iter().map(zone).collect()
        })
    }
}

fn zone(zone: ZoneStatus) -> ZoneReport {
    ZoneReport {
        name: zone.name,
        listeners: zone.listeners,
        serial: zone.serial,
        names: number(zone.names),
        balanced: zone.balanced.into_iter().map(balanced).collect(),
    }
}

fn balanced(name: BalancedStatus) -> BalancedReport {
    let server = |server: &ChosenServer| ChosenReport {
        pool: server.id.pool.to_string(),
        server: server.id.server.to_string(),
        addresses: server.addresses.iter().map(ToString::to_string).collect(),
        state: server.state.to_string(),
        text: String::new(),
        is_answered_with: server.is_answered_with,
        is_answered: server.is_answered_with && server.addresses.iter().any(|address| name.now.contains(address)),
    };
    BalancedReport {
        servers: name.servers.iter().map(server).collect(),
        now: name.now.iter().map(ToString::to_string).collect(),
        name: name.name,
        answer: name.answer,
        ttl: name.ttl,
        own: name.own.map(|state| state.to_string()),
        is_arrival: name.is_arrival,
        why: name.why,
    }
}

pub(super) fn report(totals: &DnsTotals) -> DnsReport {
    DnsReport {
        udp: totals.udp,
        tcp: totals.tcp,
        dropped: totals.dropped,
        limited: totals.limited,
        slipped: totals.slipped,
        truncated: totals.truncated,
        transfers: totals.transfers,
        refused_transfers: totals.refused_transfers,
        rcodes: totals.rcodes.iter().map(|(rcode, count)| ((*rcode).to_owned(), *count)).collect(),
        zones: totals.zones.clone(),
        live: None,
    }
}
