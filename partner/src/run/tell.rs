//! What the daemon tells its operator at the start: the cage of its workers, and the room that it has.

use std::path::Path;

use executor::cage::{CageLayer, CageReport};
use types::limits::MAX_TASK_MEMORY_BYTES;

use crate::config::Config;
use crate::error::PartnerError;
use crate::room::{ByteCount, FreeRoom};

/// With less than that free the operator is warned at the start.
const LITTLE_ROOM: FreeRoom = FreeRoom {
    disk_bytes: 1 << 30,
    memory_bytes: 512 << 20,
};

/// Logs the layers of the cage, and refuses one without a filter of system calls unless that is allowed.
pub(super) fn tell(cage: &CageReport, may_lack_seccomp: bool) -> Result<(), PartnerError> {
    for (layer, state) in cage.layers() {
        match state.gap() {
            None => tracing::info!(layer = layer.name(), "cage: held"),
            Some(gap) => {
                tracing::warn!(layer = layer.name(), state = state.name(), %gap, "cage: not held as a whole");
            }
        }
    }
    match cage.state(CageLayer::Seccomp).gap() {
        Some(gap) if !may_lack_seccomp => Err(PartnerError::NoSeccomp(gap)),
        _ => Ok(()),
    }
}

/// Says what the partner may take of the machine, beside what the machine has free.
pub(super) fn tell_room(dir: &Path, config: &Config) {
    let (quota, code) = (config.blob_quota_bytes, config.code_cache_bytes);
    let places = u64::from(config.offer.places);
    let checks = u64::from(config.verification_places);
    let disk = places
        .saturating_add(1)
        .saturating_mul(quota)
        .saturating_add(code);
    // One worker of each job and check always runs, whatever the others take.
    let duties = places.saturating_add(checks);
    let memory = duties
        .saturating_mul(MAX_TASK_MEMORY_BYTES)
        .max(config.memory_bytes);
    let takes = format!(
        "jobs may take up to {} of disk ({} of inputs, {} of results for each of {places} places, {} of compiled code) and {} of memory (memory_bytes is {}, and a task of each of {duties} jobs and checks, of up to {}, always runs)",
        ByteCount(disk),
        ByteCount(quota),
        ByteCount(quota),
        ByteCount(code),
        ByteCount(memory),
        ByteCount(config.memory_bytes),
        ByteCount(MAX_TASK_MEMORY_BYTES),
    );
    match FreeRoom::free(dir) {
        Ok(room) if room.disk_bytes >= disk && room.memory_bytes >= memory => {
            tracing::info!(
                "{takes}; {} of disk and {} of memory are free",
                room.disk(),
                room.memory()
            );
        }
        Ok(room) if room.holds(LITTLE_ROOM) => tracing::info!(
            "{takes}; {} of disk and {} of memory are free: jobs that do not fit are declined, at a penalty",
            room.disk(),
            room.memory()
        ),
        Ok(room) => tracing::warn!(
            "{takes}, but only {} of disk and {} of memory are free: hardly any job fits, and each is declined at a penalty",
            room.disk(),
            room.memory()
        ),
        Err(error) => tracing::warn!(%error, "{takes}; the system does not say what is free"),
    }
}
