//! A world of cluster nodes in virtual time: lossy links, kernels that drop addresses nobody renews, resources that take
//! their time, fail or hang, and nodes that crash, pause and come back.
//!
//! [`World`] runs it, [`plan`] makes bad luck from a seed, [`watch`] says what must hold at every moment. The invariant: a
//! run is a function of its seed, so that the number in a failure's message repeats it.

mod guard;
mod host;
mod layout;
mod links;
pub mod plan;
pub mod watch;
mod world;

#[cfg(test)]
mod tests;

pub use host::{Habit, Host};
pub use links::{Link, Links};
pub use world::{Shape, World};
