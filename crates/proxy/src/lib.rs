//! The data plane.

#![forbid(unsafe_code)]
