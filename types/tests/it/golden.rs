//! Golden vectors: the canonical bytes of every format, frozen. A change here is a change of protocol.
//!
//! To write new vectors after a deliberate change: `GRIDPROOF_BLESS=1 cargo test -p gridproof-types golden`.

use std::fmt::Write as _;
use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use types::attestation::{CommitmentContext, RefereeFinding, beacon_input, next_beacon};
use types::attestation::{
    Contradiction, Divergence, Exit, Opening, Outcomes, Trap, commitment, drawn_tasks, leaf,
    result_root_of, unblinded_root,
};
use types::block::{Block, Body};
use types::codec::{Bounded, decode, encode};
use types::committee::ValidatorSet;
use types::genesis::Genesis;
use types::hash::{BlobId, ChainId, Domain, Hash32, JobId};
use types::job::{StateOutputs, TaskSet};
use types::key::{Signature, VrfOutput};
use types::merkle::merkle_root;
use types::number::{
    Amount, Attempt, BeaconStep, ChainTime, Epoch, Fuel, SQUARE, TaskIndex, ValidatorIndex, View,
};
use types::proof::{FinalityProof, StateProof, ValueProof};
use types::signed_block::{ProposerSignature, SignedBlock};
use types::state_key::{DueQueue, StateKey};
use types::stored::{Holding, StoredCertificate, StoredStatement, StoredSubject};
use types::testing::fuzz::{AnswerMark, fuzz, fuzz_canonical};
use types::transaction::{
    Action, Failure, JobStep, SystemMessage, SystemTransaction, TransactionReceipt,
};
use types::vote::{Proposal, Subject, Vote};
use types::whole::WholeBlock;

pub mod values;

use values::{
    before, certificate, ending_class, genesis, hash, header, key, outcome, profile, spec,
    statement, transaction, vrf, workload,
};

/// Collects lines `name hex` and checks that each value decodes from its bytes and only from them.
#[derive(Default)]
pub struct Vectors {
    lines: String,
    /// Each format is fuzzed, too, from its vector on.
    fuzzes: bool,
}

impl Vectors {
    pub fn add<T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug>(
        &mut self,
        name: &str,
        value: &T,
    ) {
        let bytes = encode(value);
        if self.fuzzes {
            return fuzz_canonical::<T>(name, vec![bytes.clone()], 2 * bytes.len() + 1_024);
        }
        assert_eq!(
            &decode::<T>(&bytes, bytes.len()).unwrap(),
            value,
            "{name} does not come back"
        );
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(
            decode::<T>(&longer, longer.len()).is_err(),
            "{name} takes a trailing byte"
        );
        assert!(
            decode::<T>(&bytes[..bytes.len() - 1], bytes.len()).is_err(),
            "{name} takes a missing byte"
        );
        writeln!(self.lines, "{name} {}", hex::encode(bytes)).unwrap();
    }

    fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        writeln!(self.lines, "{name} {value}").unwrap();
    }
}

fn add_chain(v: &mut Vectors) {
    v.add("genesis", &genesis());
    v.value("chain_id", genesis().chain_id());
    v.add("genesis_entry", &values::entry());
    v.add("class_params", &ending_class());
    v.add("header", &header());
    v.value("block_id", header().id());
    let transfer = transaction(Action::Transfer {
        to: key(6).public().address(),
        amount: SQUARE,
    });
    v.value("transaction_id", transfer.id());
    v.value("job_id", transfer.job_id());
    let stored = StoredStatement {
        subject: StoredSubject {
            job: JobId(hash(7)),
            attempt: Attempt(1),
            holding: Holding::Results,
        },
        bytes: 1_000,
        fuel: Fuel(77),
    };
    let signed = stored.sign(&key(1), ChainId(hash(1)));
    v.add("system_message", &SystemMessage::Stored(signed));
    let mut signers = ValidatorSet::default();
    signers.insert(ValidatorIndex(2));
    let system = vec![
        SystemTransaction::Stored(StoredCertificate {
            statement: stored,
            signers,
            signatures: Bounded::new(vec![signed.signature]).unwrap(),
        }),
        SystemTransaction::Beacon {
            step: BeaconStep(9),
            proof: vrf(2).prove(&beacon_input(&hash(5), BeaconStep(9))),
        },
    ];
    let body = Body {
        system: Bounded::new(system).unwrap(),
        transactions: Bounded::new(vec![transfer.clone().sign(&key(4))]).unwrap(),
    };
    v.value("body_root", body.root());
    v.add(
        "block",
        &Block {
            header: header(),
            body,
        },
    );
    let receipt = TransactionReceipt {
        id: transfer.id(),
        fee: Amount(9),
        failure: None,
    };
    v.add("receipt", &receipt);
    v.value("receipt_hash", receipt.hash());
    let failure = Some(Failure {
        code: "zero_amount".to_owned(),
        message: "the amount must be above zero".to_owned(),
    });
    let failed = TransactionReceipt {
        failure,
        ..receipt.clone()
    };
    v.add("receipt_failed", &failed);
    v.value("receipt_failed_hash", failed.hash());
    v.value("receipt_root", TransactionReceipt::root(&[receipt, failed]));
}

fn add_actions(v: &mut Vectors) {
    let (job, attempt) = (JobId(hash(7)), Attempt(0));
    let leaves = [(TaskIndex(0), hash(1)), (TaskIndex(1), hash(2))];
    let opening = Opening::new(hash(3), &leaves, &[TaskIndex(1)], BlobId::of(b"outcomes")).unwrap();
    let divergence = Divergence::new(hash(3), &leaves, TaskIndex(1)).unwrap();
    let of = |step: JobStep| step.of(job, attempt);
    let actions = [
        ("register", Action::RegisterPartner { profile: profile() }),
        ("bond", Action::Bond { amount: SQUARE }),
        ("unbond", Action::Unbond { amount: SQUARE }),
        (
            "submit",
            Action::SubmitJob {
                spec: Box::new(spec()),
            },
        ),
        ("cancel", Action::CancelJob { job }),
        ("acknowledge", of(JobStep::Acknowledge)),
        ("decline", of(JobStep::Decline { unrunnable: true })),
        (
            "commit",
            of(JobStep::Commit {
                commitment: hash(1),
            }),
        ),
        (
            "announce",
            of(JobStep::Announce {
                proof: vrf(7).prove(&hash(1)),
            }),
        ),
        (
            "reveal",
            of(JobStep::Reveal {
                opening: Box::new(opening),
            }),
        ),
        ("agree", of(JobStep::Agree { salt: hash(3) })),
        (
            "vote",
            of(JobStep::Vote {
                ballot: 2,
                commitment: hash(3),
            }),
        ),
        (
            "open_vote",
            of(JobStep::OpenVote {
                ballot: 2,
                found: RefereeFinding {
                    leaf: hash(3),
                    witness: hash(5),
                },
                salt: hash(4),
            }),
        ),
        (
            "differ",
            of(JobStep::Differ {
                divergence: Box::new(divergence),
            }),
        ),
        ("no_result", of(JobStep::NoResult)),
        ("renew", of(JobStep::Renew { number: 2 })),
    ];
    for (name, action) in actions.into_iter().chain(challenge(job)) {
        v.add(
            &format!("action_{name}"),
            &transaction(action).sign(&key(4)),
        );
    }
}

/// What challenges a settled job.
fn challenge(job: JobId) -> [(&'static str, Action); 2] {
    let settled = [(TaskIndex(0), hash(5)), (TaskIndex(1), hash(6))];
    let found = (TaskIndex(1), hash(7));
    let shown = Contradiction::new(hash(3), found, &hash(4), &settled);
    let contradiction = Box::new(shown.unwrap());
    let step = JobStep::Contradict { contradiction };
    let commitment = hash(2);
    [
        ("challenge", Action::ChallengeJob { job, commitment }),
        ("contradict", step.of(job, Attempt(0))),
    ]
}

fn exits() -> Vec<Exit> {
    let traps = [
        Trap::Unreachable,
        Trap::OutOfBounds,
        Trap::Arithmetic,
        Trap::IndirectCall,
        Trap::StackOverflow,
        Trap::Other,
    ];
    let mut all = vec![Exit::Code { code: 0 }, Exit::Code { code: u32::MAX }];
    all.extend(traps.map(|trap| Exit::Trap { trap }));
    all.extend([Exit::OutOfFuel, Exit::OutOfOutput, Exit::Invalid]);
    all
}

fn add_compute(v: &mut Vectors) {
    let workload = workload();
    v.value("workload_id", workload.id());
    v.value("input_root", workload.input_root());
    v.add(
        "outcomes",
        &Outcomes(Bounded::new(vec![outcome()]).unwrap()),
    );
    let outcomes = Outcomes(Bounded::new(vec![outcome(), outcome()]).unwrap());
    v.add("task_states", &outcomes.states(&workload.state));
    v.value("linked_leaf", outcomes.leaves(&workload)[1].1);
    let leaves: Vec<_> = (0..3)
        .map(|i| {
            (
                TaskIndex(i),
                leaf(&workload, TaskIndex(i), &before(), &outcome()),
            )
        })
        .collect();
    v.value("leaf_2", leaves[2].1);
    v.value("result_root_of", result_root_of(&hash(8), &leaves));
    v.value("unblinded_root", unblinded_root(&leaves));
    let context = CommitmentContext {
        chain: ChainId(hash(1)),
        job: JobId(hash(7)),
        attempt: Attempt(0),
        partner: key(5).public().address(),
    };
    v.value("commitment", commitment(&context, &hash(1), &hash(2)));
    v.value(
        "drawn_tasks",
        format!(
            "{:?}",
            drawn_tasks(&hash(9), (&TaskSet::all(100), &StateOutputs::default()), 5)
                .iter()
                .map(|t| t.0)
                .collect::<Vec<_>>()
        ),
    );
    v.value("next_beacon", next_beacon(&hash(1), BeaconStep(2), None));
    v.value(
        "next_beacon_with_output",
        next_beacon(&hash(1), BeaconStep(2), Some(&VrfOutput([6; 64]))),
    );
    for exit in exits() {
        v.add("exit", &exit);
    }
    v.add(
        "holding",
        &vec![Holding::Inputs, Holding::States, Holding::Results],
    );
    v.value("merkle_root_0", merkle_root(&[]));
    v.value("merkle_root_3", merkle_root(&[hash(1), hash(2), hash(3)]));
}

fn add_votes(v: &mut Vectors) {
    let notarize = Subject::Notarize {
        parent_view: View(7),
        block: header().id(),
    };
    v.add(
        "vote",
        &Vote::sign(
            statement(notarize),
            ValidatorIndex(1),
            &key(1),
            ChainId(hash(1)),
        ),
    );
    v.add("nullification", &certificate(Subject::Nullify));
    let finalization = certificate(Subject::Finalize {
        block: header().id(),
    });
    v.add("finalization", &finalization);
    let proposal = Proposal {
        epoch: Epoch::FIRST,
        view: View(8),
        parent_view: View(7),
        block: Block {
            header: header(),
            body: Body::default(),
        },
        parent_certificate: Some(certificate(notarize)),
        nullifications: Bounded::new(vec![certificate(Subject::Nullify)]).unwrap(),
        signature: Signature([1; 64]),
        notarize: Signature([2; 64]),
    };
    v.add("proposal", &proposal);
    // As a block travels in a subnet.
    let proposer = ProposerSignature {
        key: key(1).public(),
        signature: Signature([3; 64]),
    };
    v.add("signed_block", &(proposal.block, Some(proposer)));
    let proof = ValueProof {
        value: Some(vec![1, 2]),
        proof: StateProof {
            leaf: Some((hash(1), hash(2))),
            siblings: Bounded::new(vec![hash(3)]).unwrap(),
        },
        finality: FinalityProof {
            headers: Bounded::new(vec![header()]).unwrap(),
            certificate: finalization,
        },
    };
    v.add("value_proof", &proof);
    v.value("domain_hash", Hash32::of(Domain::LEAF, &1u8));
}

fn add_keys(v: &mut Vectors) {
    let keys = [
        StateKey::Account(key(4).public().address()),
        StateKey::Chain,
        StateKey::Beacon,
        StateKey::BeaconAt(BeaconStep(1)),
        StateKey::EpochSeed(Epoch(1)),
        StateKey::Partner(key(5).public().address()),
        StateKey::PartnerIndex,
        StateKey::PartnerSnapshot(Epoch(1)),
        StateKey::Job(JobId(hash(7))),
        StateKey::JobSpec(JobId(hash(7))),
        StateKey::LiveIndex,
        StateKey::LiveJobs(7),
        StateKey::CustomerJobs(crate::records::address(7)),
        StateKey::Receipt(JobId(hash(7))),
        StateKey::Revocation(JobId(hash(7))),
        StateKey::Banned(hash(7)),
        StateKey::Verdict(JobId(hash(7)), 3),
        StateKey::Unbondings(ChainTime(5)),
        StateKey::Due(DueQueue::Windows, 7),
        StateKey::Due(DueQueue::Ended, 7),
        StateKey::Due(DueQueue::Locks, 7),
        StateKey::Due(DueQueue::Verdicts, 7),
        StateKey::Due(DueQueue::Places, 7),
        StateKey::Draws(BeaconStep(7)),
        StateKey::PartnerPage(7, Epoch(1)),
    ];
    for key in keys {
        v.add("state_key", &key);
        v.value("state_key_hash", key.hash());
    }
}

impl Vectors {
    /// Compares with the file of frozen ones, or writes it if it is asked for by `GRIDPROOF_BLESS`.
    pub fn freeze(&self, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(file);
        if std::env::var_os("GRIDPROOF_BLESS").is_some() {
            std::fs::write(&path, &self.lines).unwrap();
        }
        let frozen = std::fs::read_to_string(&path).unwrap();
        for (ours, theirs) in self.lines.lines().zip(frozen.lines()) {
            assert_eq!(ours, theirs, "a format changed");
        }
        assert_eq!(self.lines.lines().count(), frozen.lines().count());
    }
}

#[test]
fn golden_vectors_are_frozen() {
    let mut v = Vectors::default();
    add_all(&mut v);
    v.freeze("golden.txt");
}

#[test]
fn fuzz_every_format() {
    let mut v = Vectors {
        fuzzes: true,
        ..Vectors::default()
    };
    add_all(&mut v);
    fuzz("genesis", vec![encode(&genesis())], |input| {
        AnswerMark::of(&Genesis::from_bytes(input))
    });
    let block = WholeBlock::new(types::testing::empty_block(
        ChainId::default(),
        types::hash::BlockId::default(),
        types::number::Height(1),
        types::number::Timestamp(1),
        types::testing::validator_id(1),
    ));
    let signed = SignedBlock::sign(block.unwrap(), &key(1));
    fuzz("signed block", vec![signed.to_bytes()], |input| {
        AnswerMark::of(&SignedBlock::from_bytes(input))
    });
}

fn add_all(v: &mut Vectors) {
    add_chain(v);
    add_actions(v);
    add_compute(v);
    add_votes(v);
    add_keys(v);
}
