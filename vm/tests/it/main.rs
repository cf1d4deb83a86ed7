//! Tests of the state machine through its public API.

#![cfg(test)]

extern crate gridproof_vm as vm;

mod audit;
mod beacon;
mod block;
mod build;
mod duty;
mod fixture;
mod genesis;
mod golden;
mod job;
mod mempool;
mod money;
mod partner;
mod places;
mod reserve;
mod system_pool;
mod trial;
mod versions;
