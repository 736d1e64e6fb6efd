//! Who is alive and who is next, without I/O.

#![forbid(unsafe_code)]
