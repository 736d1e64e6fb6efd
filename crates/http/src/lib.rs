//! HTTP messages without I/O.

#![forbid(unsafe_code)]
