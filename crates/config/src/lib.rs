//! From the operator's text to a validated [`Config`](evenkeel_model::Config).

#![forbid(unsafe_code)]
