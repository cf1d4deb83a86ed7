//! The bytes of a log: records chained by checksums, and how they are read back.

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{decode, encode};
use types::hash::{Domain, Hash32};
use types::limits::MAX_CONSENSUS_MESSAGE_BYTES;
use types::number::{Epoch, View};

use super::{Identity, LogError, Record};

const HEADER_BYTES: usize = 4 + 8 + CHECK_BYTES;
const CHECK_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 32;

/// Bytes of a record beside its body.
pub const RECORD_OVERHEAD_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;
/// Longest body of a record: a proposal with everything in it.
pub const MAX_RECORD_BYTES: usize = MAX_CONSENSUS_MESSAGE_BYTES + 64;

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum RecordBody {
    /// First record of a segment: whose log it is.
    Marker(Marker),
    /// Something a validator wrote.
    Record(Record),
}

/// Binds a segment to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Marker {
    pub identity: Identity,
    pub segment: u64,
    pub before: RecordChain,
}

/// The checksum of the last record: the next one's is taken over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub(super) struct RecordChain(Hash32);

impl RecordChain {
    /// Appends a record's bytes to `out` and moves on to it.
    pub(super) fn push(
        &mut self,
        out: &mut Vec<u8>,
        epoch: Epoch,
        body: &RecordBody,
    ) -> Result<(), LogError> {
        let body = encode(body);
        if body.len() > MAX_RECORD_BYTES {
            return Err(LogError::TooLong(body.len()));
        }
        let length = u32::try_from(body.len())
            .map_err(|_| LogError::TooLong(body.len()))?
            .to_le_bytes();
        let epoch = epoch.0.to_le_bytes();
        let checksum = self.checksum(length, epoch, &body);
        out.extend(length);
        out.extend(epoch);
        out.extend(&self.check(length, epoch));
        out.extend(&body);
        out.extend(&checksum.0);
        *self = Self(checksum);
        Ok(())
    }

    fn check(self, length: [u8; 4], epoch: [u8; 8]) -> [u8; CHECK_BYTES] {
        let hash = Hash32::of_parts(Domain::LOG_RECORD, &[&self.0.0, &length, &epoch]);
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&hash.0[..CHECK_BYTES]);
        check
    }

    /// Over the parts of fixed length and the body, which is never empty and so never the header's check.
    fn checksum(self, length: [u8; 4], epoch: [u8; 8], body: &[u8]) -> Hash32 {
        Hash32::of_parts(Domain::LOG_RECORD, &[&self.0.0, &length, &epoch, body])
    }
}

/// One record read back.
enum Read {
    /// A whole record of that many bytes.
    Whole {
        epoch: Epoch,
        body: Vec<u8>,
        chain: RecordChain,
        bytes: usize,
    },
    /// The bytes end before the record does.
    Torn,
    /// Not a record that followed the one before.
    Bad(&'static str),
}

fn read_record(bytes: &[u8], chain: RecordChain) -> Read {
    // Space that was given to the file but never written is what some file systems leave after a power cut.
    if bytes.len() < HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) {
        return Read::Torn;
    }
    let length: [u8; 4] = bytes[..4].try_into().expect("four bytes");
    let epoch: [u8; 8] = bytes[4..12].try_into().expect("eight bytes");
    if chain.check(length, epoch) != bytes[12..HEADER_BYTES] {
        return Read::Bad("the header of a record was changed, or a record is missing before it");
    }
    let Ok(length_of_body) = usize::try_from(u32::from_le_bytes(length)) else {
        return Read::Bad("length");
    };
    let total = length_of_body.saturating_add(RECORD_OVERHEAD_BYTES);
    let Some(record) = bytes.get(HEADER_BYTES..total) else {
        return Read::Torn;
    };
    let (body, checksum) = record.split_at(length_of_body);
    let expected = chain.checksum(length, epoch, body);
    if expected.0 != checksum {
        return Read::Bad("the checksum of a record does not fit");
    }
    let epoch = Epoch(u64::from_le_bytes(epoch));
    Read::Whole {
        epoch,
        body: body.to_vec(),
        chain: RecordChain(expected),
        bytes: total,
    }
}

/// What a segment holds.
pub(super) struct Scan {
    /// The records of the epoch asked for.
    pub records: Vec<Record>,
    /// Bytes of whole records; 0 if not even the marker is whole.
    pub length: usize,
    /// Highest view of any record.
    pub last_view: View,
    /// After the last whole record.
    pub chain: RecordChain,
    /// True if a marker of the epoch asked for was found.
    pub marked: bool,
}

impl Scan {
    /// Reads a segment that follows `before` (unknown for the oldest that is left). Only the last may end torn.
    pub(super) fn read(
        bytes: &[u8],
        segment: u64,
        before: Option<RecordChain>,
        identity: &Identity,
        last: bool,
    ) -> Result<Self, LogError> {
        let before = before.or_else(|| stated_chain(bytes)).unwrap_or_default();
        let mut scan = Self {
            records: Vec::new(),
            length: 0,
            last_view: View::ZERO,
            chain: before,
            marked: false,
        };
        let mut at = 0;
        while at < bytes.len() || at == 0 {
            let offset = super::length_of(&bytes[..at]);
            let damaged = |why| LogError::Damaged {
                segment,
                offset,
                why,
            };
            match read_record(&bytes[at..], scan.chain) {
                Read::Torn if last => break,
                Read::Torn => {
                    return Err(damaged(
                        "the segment ends inside a record though another follows it",
                    ));
                }
                Read::Bad(why) => return Err(damaged(why)),
                Read::Whole {
                    epoch,
                    body,
                    chain,
                    bytes: read,
                } => {
                    let body = decode(&body, MAX_RECORD_BYTES)
                        .map_err(|_| damaged("a record cannot be read"))?;
                    if epoch > identity.epoch {
                        return Err(LogError::LaterEpoch {
                            found: epoch,
                            term: identity.epoch,
                        });
                    }
                    match body {
                        RecordBody::Marker(marker) if at == 0 => {
                            check_marker(&marker, segment, identity, &damaged)?;
                            scan.marked |= epoch == identity.epoch;
                        }
                        RecordBody::Marker(_) => return Err(damaged("a marker in the middle")),
                        RecordBody::Record(_) if at == 0 => {
                            return Err(damaged("the segment does not open with its marker"));
                        }
                        RecordBody::Record(record) => {
                            scan.last_view = scan.last_view.max(record.view());
                            if epoch == identity.epoch {
                                scan.records.push(record);
                            }
                        }
                    }
                    scan.chain = chain;
                    at += read;
                }
            }
        }
        scan.length = at;
        Ok(scan)
    }
}

/// The oldest segment says itself what it follows; its first checksum binds that.
fn stated_chain(bytes: &[u8]) -> Option<RecordChain> {
    let length = usize::try_from(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let body = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(length)?)?;
    match decode(body, MAX_RECORD_BYTES) {
        Ok(RecordBody::Marker(marker)) => Some(marker.before),
        _ => None,
    }
}

/// That it follows the segment before is in the check of its header.
fn check_marker(
    marker: &Marker,
    segment: u64,
    identity: &Identity,
    damaged: &dyn Fn(&'static str) -> LogError,
) -> Result<(), LogError> {
    if marker.identity.chain != identity.chain {
        return Err(LogError::OtherChain {
            found: marker.identity.chain,
            expected: identity.chain,
        });
    }
    if marker.identity.validator != identity.validator {
        return Err(LogError::OtherValidator {
            found: marker.identity.validator,
            expected: identity.validator,
        });
    }
    if marker.segment != segment {
        return Err(damaged("the segment bears another's number"));
    }
    Ok(())
}
