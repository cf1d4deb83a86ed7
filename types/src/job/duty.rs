//! Duties that last: a party that works on one renews it at intervals, so that a machine that died is found out long before
//! its time is over.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::Address;
use crate::number::{ChainTime, Height};

/// Who works on a job now, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Duties {
    /// Chain time at which all of them are over, renewed or not.
    pub until: ChainTime,
    /// Those who work, by the addresses of their accounts; who has committed is not among them.
    pub renewals: BTreeMap<Address, Renewals>,
}

/// How a party renewed its duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Renewals {
    /// How often; the next renewal carries this number.
    pub number: u32,
    /// Chain time of the last one; before the first one the time at which the duty began.
    pub at: ChainTime,
    /// Height of the block of that time.
    pub height: Height,
}
