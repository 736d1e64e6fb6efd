//! What an operator and a client see: the built program with real peers on both sides.
//!
//! One binary, a module for each question. Nothing in here looks inside the program. `cargo xtask test` runs it one
//! test at a time, since load, kills and hangs disturb each other.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests of processes wait and may panic

mod acme;
mod acme_pair;
mod api;
mod balance;
mod boundary;
mod cluster;
mod cluster_page;
mod commands;
mod cookies;
mod daemon;
mod dashboard;
mod databases;
mod dns;
mod failover;
mod failures;
mod faults;
mod harness;
mod hostile;
mod http2;
mod intents;
mod learned;
mod life;
mod limits;
mod logs;
mod looking;
mod metrics;
mod moving;
mod night;
mod outage;
mod pair;
mod papers;
mod paths;
mod presence;
mod proofs;
mod protocol;
mod reload;
mod resolvers;
mod sessions;
mod setting;
mod sharing;
mod steady;
mod sticky;
mod tcp;
mod tcp_tls;
mod tls;
mod units;
mod vectors;
mod views;
mod zonefile;
