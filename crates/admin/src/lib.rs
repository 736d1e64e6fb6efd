//! The control API.

#![forbid(unsafe_code)]
