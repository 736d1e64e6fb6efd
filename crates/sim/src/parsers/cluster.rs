//! Heartbeats.

/// A datagram, with its own seal and with one that fits.
pub fn heartbeat(bytes: &[u8]) {
    evenkeel_cluster::fuzz::heartbeat(bytes);
}
