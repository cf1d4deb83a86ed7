//! A job's outcomes and files: missing, different, too many, swapped.

use types::codec::{Bounded, encode};
use types::number::Fuel;

use super::*;
use crate::fixture::{files, light, outcomes, receipt, standing, workload};

type Files = BTreeMap<FileRef, Vec<u8>>;

fn file(task: u32, stream: Stream) -> FileRef {
    FileRef {
        task: TaskIndex(task),
        stream,
    }
}

fn verify_with(
    receipt: &JobReceipt,
    outcomes: &[u8],
    files: &Files,
) -> Result<VerifiedJob, JobProofError> {
    let document = light().receipt_document(&standing(receipt)).unwrap();
    light().verify_job(
        &document,
        &JobEvidence {
            outcomes,
            workload: Some(&workload()),
            files,
        },
    )
}

fn verify(files: &Files) -> Result<VerifiedJob, JobProofError> {
    verify_with(&receipt(), &encode(&outcomes()), files)
}

#[test]
fn a_job_verifies_down_to_its_files() {
    let job = verify(&files()).unwrap();
    assert_eq!(
        (job.proven.receipt, job.outcomes, job.files),
        (receipt(), outcomes(), 7)
    );

    let document = light().receipt_document(&standing(&receipt())).unwrap();
    let bytes = encode(&outcomes());
    let evidence = JobEvidence {
        outcomes: &bytes,
        workload: None,
        files: &files(),
    };
    assert!(
        light().verify_job(&document, &evidence).is_ok(),
        "the workload is not needed"
    );
}

#[test]
fn every_byte_of_every_output_counts() {
    for (at, bytes) in files() {
        let different = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut tampered = files();
            change(tampered.get_mut(&at).unwrap());
            let refused = verify(&tampered);
            assert!(
                matches!(refused, Err(JobProofError::Different { file, .. }) if file == at),
                "{at}: {refused:?}"
            );
        };
        for position in 0..bytes.len() {
            different(&|bytes| bytes[position] ^= 1);
        }
        different(&|bytes| bytes.push(0));
        if !bytes.is_empty() {
            different(&|bytes| bytes.truncate(bytes.len() - 1));
        }
    }
}

#[test]
fn a_file_too_few_or_too_many_is_named_with_task_and_output() {
    for at in files().into_keys() {
        let mut fewer = files();
        fewer.remove(&at);
        assert!(matches!(verify(&fewer), Err(JobProofError::Missing { file, .. }) if file == at));
    }
    for at in [
        file(1, Stream::Output(0)),
        file(0, Stream::Output(2)),
        file(2, Stream::Stdout),
    ] {
        let mut more = files();
        more.insert(at, Vec::new());
        assert!(matches!(verify(&more), Err(JobProofError::Extra { file, .. }) if file == at));
    }
    let mut fewer = files();
    fewer.remove(&file(1, Stream::Output(1)));
    assert_eq!(
        verify(&fewer).unwrap_err().to_string(),
        "task 1, output 1 (table): the file is missing"
    );
}

#[test]
fn outputs_of_two_tasks_cannot_be_swapped() {
    let mut swapped = files();
    let (a, b) = (file(0, Stream::Output(1)), file(1, Stream::Output(1)));
    let (first, second) = (swapped[&a].clone(), swapped[&b].clone());
    swapped.extend([(a, second), (b, first)]);
    assert!(matches!(verify(&swapped), Err(JobProofError::Different { file, .. }) if file == a));
}

#[test]
fn every_byte_of_the_outcomes_counts() {
    let bytes = encode(&outcomes());
    for at in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[at] ^= 1;
        assert!(matches!(
            verify_outcomes(&receipt(), &tampered),
            Err(JobProofError::OtherOutcomes { .. })
        ));
    }
    assert!(matches!(
        verify_with(&receipt(), &bytes[1..], &files()),
        Err(JobProofError::OtherOutcomes { .. })
    ));
}

/// The chain settles no such receipts; a light client does not rely on that.
#[test]
fn a_receipt_that_contradicts_itself_is_refused() {
    let bytes = encode(&outcomes());
    let refuse = |change: &dyn Fn(&mut JobReceipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        verify_with(&receipt, &bytes, &files()).unwrap_err()
    };
    assert!(matches!(
        refuse(&|receipt| receipt.salt.0[0] ^= 1),
        JobProofError::ResultRoot { .. }
    ));
    assert!(matches!(
        refuse(&|receipt| receipt.result_root.0[0] ^= 1),
        JobProofError::ResultRoot { .. }
    ));
    assert!(matches!(
        refuse(&|receipt| receipt.input_root.0[0] ^= 1),
        JobProofError::ResultRoot { .. }
    ));
    assert!(matches!(
        refuse(&|receipt| receipt.workload.0.0[0] ^= 1),
        JobProofError::ResultRoot { .. }
    ));
    assert!(matches!(
        refuse(&|receipt| receipt.tasks = TaskSet::all(3)),
        JobProofError::OutcomeCount {
            expected: 3,
            found: 2
        }
    ));
    assert!(matches!(
        refuse(&|receipt| receipt.fuel = Fuel(999)),
        JobProofError::OtherFuel {
            expected: Fuel(999),
            found: Fuel(1_000)
        }
    ));
    let mut others = outcomes();
    others.0.as_mut_slice()[1].fuel = Fuel(501);
    let mut receipt = receipt();
    receipt.outcomes = BlobId::of(&encode(&others));
    let refused = verify_with(&receipt, &encode(&others), &files());
    assert!(matches!(refused, Err(JobProofError::ResultRoot { .. })));
    receipt.outcomes = BlobId::of(b"no outcomes");
    assert!(matches!(
        verify_with(&receipt, b"no outcomes", &files()),
        Err(JobProofError::BadOutcomes(_))
    ));
}

#[test]
fn another_workload_is_refused() {
    let document = light().receipt_document(&standing(&receipt())).unwrap();
    let (bytes, mut other) = (encode(&outcomes()), workload());
    other.outputs = Bounded::default();
    let refused = light().verify_job(
        &document,
        &JobEvidence {
            outcomes: &bytes,
            workload: Some(&other),
            files: &files(),
        },
    );
    assert!(matches!(refused, Err(JobProofError::OtherWorkload { .. })));
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_wrong_one() {
    struct Torn(Files);
    impl JobFiles for Torn {
        fn list(&self) -> std::io::Result<BTreeSet<FileRef>> {
            self.0.list()
        }
        fn open(&self, file: FileRef) -> std::io::Result<Box<dyn Read + '_>> {
            if file.stream == Stream::Output(1) {
                Err(std::io::Error::other("torn"))
            } else {
                self.0.open(file)
            }
        }
    }
    let document = light().receipt_document(&standing(&receipt())).unwrap();
    let bytes = encode(&outcomes());
    let evidence = JobEvidence {
        outcomes: &bytes,
        workload: None,
        files: &Torn(files()),
    };
    let refused = light().verify_job(&document, &evidence).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "task 0, output 1: the file cannot be read: torn"
    );
}
