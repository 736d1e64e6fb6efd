//! What a reload changes in zones: which have other contents, and whether secondary servers will notice.
//!
//! A secondary asks for a zone anew when the serial is newer than its own (RFC 1982), and never otherwise. The invariant:
//! a zone that is answered otherwise than before is named.

use std::sync::Arc;

use evenkeel_dns::Name;
use evenkeel_model::Change;
use evenkeel_model::config::{DnsZone, ZoneSource};

use super::load::Block;

/// Most zones that are named.
const SHOWN: usize = 20;

/// What is to be told of a reload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ZoneNews {
    pub(crate) changes: Vec<Change>,
    pub(crate) warnings: Vec<String>,
}

/// What differs between the zones that were answered and those that are now.
pub(crate) fn news(before: &[Block], after: &[Block]) -> ZoneNews {
    let (mut changes, mut warnings) = (Vec::new(), Vec::new());
    for block in after {
        let Some(known) = before.iter().find(|other| other.listeners == block.listeners) else { continue };
        if Arc::ptr_eq(&known.zones, &block.zones) {
            continue;
        }
        for zone in block.lines() {
            let (Some((was, held)), Some((is, holds))) = (state(known, zone), state(block, zone)) else { continue };
            if held == holds {
                continue;
            }
            changes.push(Change::ZoneChanged { zone: zone.name.clone(), before: was, after: is });
            let has_secondaries = !zone.transfer.is_empty() || !zone.notify.is_empty();
            if has_secondaries && !is_newer(was, is) {
                warnings.push(unnoticed(zone, was, is));
            }
        }
    }
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    changes.extend((more > 0).then_some(Change::MoreZonesChanged(more)));
    let more = warnings.len().saturating_sub(SHOWN);
    warnings.truncate(SHOWN);
    warnings.extend((more > 0).then(|| format!("the same holds for {more} more zones")));
    ZoneNews { changes, warnings }
}

/// A zone's serial, and what tells its contents from others.
fn state(block: &Block, zone: &DnsZone) -> Option<(u32, u64)> {
    let name: Name = zone.name.parse().ok()?;
    let serial = block.zones.get(&name)?.zone().soa().serial;
    // A zone that is made has a serial that its lines give.
    Some((serial, block.contents(&zone.name).unwrap_or_else(|| u64::from(serial))))
}

/// RFC 1982, 3.2.
fn is_newer(before: u32, after: u32) -> bool {
    (1..1 << 31).contains(&after.wrapping_sub(before))
}

fn unnoticed(zone: &DnsZone, before: u32, after: u32) -> String {
    let name = &zone.name;
    if matches!(zone.source, ZoneSource::Made(_)) {
        return format!(
            "zone `{name}` has another serial, {after} after {before}, which is made of its lines and is not newer by the \
             rules of serials: secondaries keep the old zone; have them transfer it anew (`rndc retransfer {name}`)"
        );
    }
    let how = if before == after {
        format!("its serial is still {before}")
    } else {
        format!("its serial went back from {before} to {after}")
    };
    let next = before.wrapping_add(1);
    format!(
        "zone `{name}` has changed and {how}: secondaries keep the old zone; write {next} or a later one, and reload"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_by_serial_arithmetic() {
        for (before, after, expected) in
            [(1, 2, true), (1, 1, false), (1, 0, false), (u32::MAX, 0, true), (0, 1 << 31, false), (5, 2, false)]
        {
            assert_eq!(is_newer(before, after), expected, "{before} {after}");
        }
    }
}
