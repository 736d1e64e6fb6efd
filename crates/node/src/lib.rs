//! Runs the cores.

#![forbid(unsafe_code)]
