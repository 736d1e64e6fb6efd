//! The data plane at work: real sockets on the loopback, scripted servers that record every byte.

mod announced;
mod bodies;
mod counts;
mod explaining;
mod failures;
mod grpc;
mod http2;
mod http2_abuse;
mod http2_reloads;
mod http2_servers;
mod http2_sharing;
mod http2_windows;
mod keeping;
mod learning;
mod life;
mod logs;
mod queueing;
mod rig;
mod rounds;
mod routing;
mod secured;
mod soak;
mod sticky;
mod sticky_forms;
mod sticky_limits;
mod tcp;
