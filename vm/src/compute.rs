//! Jobs: from a customer's escrow to a receipt in state. `job` tells a job's life; the other files each do one thing
//! of it: a step of a party, a formula, a table.

pub mod estimate;
pub mod fixed;
pub mod job;
pub mod live;
pub mod market;
pub mod penalty;
pub mod policy;
pub mod price;
pub mod spec;
pub mod turnout;

mod acknowledge;
mod announce;
mod appoint;
mod ballot;
mod cancel;
mod challenge;
mod commit;
mod decline;
mod dispute;
mod draw;
mod duty;
mod end;
mod escrow;
mod exit;
mod no_result;
mod parties;
mod pending;
mod queue;
mod receipt;
mod record;
mod rent;
mod reveal;
mod standing;
mod stored;
mod submit;
mod verdict;
mod weights;

pub use crate::error::JobError;
pub(crate) use acknowledge::acknowledge;
pub(crate) use announce::announce;
pub(crate) use cancel::cancel;
pub(crate) use challenge::{challenge, contradict};
pub(crate) use commit::{commit_as_primary, commit_as_verifier};
pub(crate) use decline::decline;
pub(crate) use dispute::{open_vote, vote};
pub(crate) use duty::{renew_as_primary, renew_as_verifier};
pub use end::end_block;
pub(crate) use escrow::burn_fee;
pub use estimate::{JobEstimate, estimate};
pub(crate) use no_result::no_result;
pub(crate) use record::load;
pub(crate) use reveal::{agree, agree_in_dispute, differ, differ_in_dispute, reveal};
pub use stored::stored;
pub(crate) use submit::submit;
