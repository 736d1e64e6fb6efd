//! A node without I/O.

#![forbid(unsafe_code)]
