//! What is decided in each stage of a job, and that a crash at any point loses and doubles nothing.

pub(crate) mod chain;
mod crash;
mod stages;
