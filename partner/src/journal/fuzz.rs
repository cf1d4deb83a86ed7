//! The journal's files, with changed bytes.

use types::testing::fuzz::{AnswerMark, fuzz};

use super::tests::own;
use super::*;

#[test]
fn fuzz_the_journal() {
    let path = Path::new("commitment");
    // What is changed is the content: a wrong checksum is refused before it is looked into.
    let content = |bytes: Vec<u8>| bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
    let seeds = vec![content(framed(&own(1))), content(framed(&own(2)))];
    fuzz("commitment", seeds, |input| {
        let checksum = Hash32::of_parts(Domain::LOG_RECORD, &[input]);
        let bytes = [input, &checksum.0].concat();
        AnswerMark::of(&unframed::<OwnCommitment>(path, &bytes))
    });
    fuzz("journal file", vec![framed(&own(1))], |input| {
        AnswerMark::of(&unframed::<OwnCommitment>(path, input))
    });
    let outbox = framed(&TransactionOutbox::default());
    fuzz("outbox", vec![content(outbox)], |input| {
        let checksum = Hash32::of_parts(Domain::LOG_RECORD, &[input]);
        let bytes = [input, &checksum.0].concat();
        AnswerMark::of(&unframed::<TransactionOutbox>(path, &bytes))
    });
}
