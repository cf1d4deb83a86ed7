//! The guard of a signer, rule by rule.

use types::codec::{Bounded, decode, encode};
use types::hash::Hash32;
use types::key::SecretKey;
use types::number::Height;

use super::*;

const CHAIN: ChainId = ChainId(Hash32([7; 32]));

fn own() -> PublicKey {
    SecretKey::from_bytes(&[1; 32]).public()
}

fn block(n: u8) -> BlockId {
    BlockId(Hash32([n; 32]))
}

fn vote(view: u64, subject: Subject) -> SigningRequest {
    let (epoch, view) = (Epoch(1), View(view));
    let statement = Statement {
        epoch,
        view,
        subject,
    };
    SigningRequest::Vote {
        chain: CHAIN,
        statement,
    }
}

fn notarize(view: u64, n: u8) -> SigningRequest {
    let subject = Subject::Notarize {
        parent_view: View(0),
        block: block(n),
    };
    vote(view, subject)
}

fn nullify(view: u64) -> SigningRequest {
    vote(view, Subject::Nullify)
}

fn finalize(view: u64, n: u8) -> SigningRequest {
    vote(view, Subject::Finalize { block: block(n) })
}

fn proposal(view: u64, n: u8) -> SigningRequest {
    SigningRequest::Proposal {
        chain: CHAIN,
        epoch: Epoch(1),
        view: View(view),
        parent_view: View(0),
        block: block(n),
    }
}

/// What a new signer says to some requests in turn.
fn said(requests: &[SigningRequest]) -> Vec<Result<bool, SigningRefusal>> {
    let mut past = SignedPast::default();
    let each = requests.iter();
    each.map(|request| past.allow(request, &own())).collect()
}

#[test]
fn what_contradicts_is_refused_and_what_repeats_changes_nothing() {
    let view = View(5);
    let cases = [
        (
            [notarize(5, 1), notarize(5, 2)],
            SigningRefusal::SecondNotarize(view),
        ),
        (
            [proposal(5, 1), proposal(5, 2)],
            SigningRefusal::SecondProposal(view),
        ),
        (
            [finalize(5, 1), finalize(5, 2)],
            SigningRefusal::SecondFinalize(view),
        ),
        (
            [finalize(5, 1), nullify(5)],
            SigningRefusal::Finalized(view),
        ),
        (
            [nullify(5), finalize(5, 1)],
            SigningRefusal::Nullified(view),
        ),
        (
            [nullify(5), notarize(5, 1)],
            SigningRefusal::Nullified(view),
        ),
    ];
    for ([first, second], refusal) in cases {
        let requests = [first.clone(), first.clone(), second, first];
        assert_eq!(
            said(&requests),
            [Ok(true), Ok(false), Err(refusal), Ok(false)],
            "{requests:?}"
        );
    }
}

#[test]
fn what_a_correct_validator_signs_is_signed() {
    let all = [
        proposal(5, 1),
        notarize(5, 1),
        nullify(5),
        notarize(5, 1),
        notarize(6, 2),
        finalize(6, 2),
        nullify(7),
        // An old view whose block is certified late.
        finalize(4, 3),
    ];
    assert!(said(&all).iter().all(Result::is_ok), "{:?}", said(&all));
    let other_parent = vote(
        5,
        Subject::Notarize {
            parent_view: View(4),
            block: block(1),
        },
    );
    assert_eq!(
        said(&[notarize(5, 1), other_parent])[1],
        Err(SigningRefusal::SecondNotarize(View(5)))
    );
}

#[test]
fn nothing_is_signed_where_the_past_is_forgotten() {
    let mut past = SignedPast::default();
    let last = u64::try_from(MAX_VIEWS).unwrap() + 10;
    for view in 1..=last {
        assert_eq!(past.allow(&notarize(view, 1), &own()), Ok(true));
    }
    for view in 1..=10 {
        let refused = past.allow(&notarize(view, 2), &own());
        assert_eq!(refused, Err(SigningRefusal::Forgotten(View(view))));
    }
    assert_eq!(
        past.allow(&notarize(11, 2), &own()),
        Err(SigningRefusal::SecondNotarize(View(11)))
    );
    assert_eq!(past.views.len(), MAX_VIEWS);
    let size = encode(&past).len();
    assert!(size < 32 << 10, "{size} bytes are written for each vote");
}

#[test]
fn a_key_signs_for_one_chain() {
    let mut past = SignedPast::default();
    past.allow(&nullify(1), &own()).unwrap();
    let SigningRequest::Vote { statement, .. } = nullify(2) else {
        unreachable!()
    };
    let asked = ChainId(Hash32([8; 32]));
    let elsewhere = SigningRequest::Vote {
        chain: asked,
        statement,
    };
    let refused = past.allow(&elsewhere, &own());
    assert_eq!(
        refused,
        Err(SigningRefusal::OtherChain { own: CHAIN, asked })
    );
}

#[test]
fn what_names_another_validator_or_moves_money_is_refused() {
    let mut past = SignedPast::default();
    let other = SecretKey::from_bytes(&[2; 32]).public();
    for (key, expected) in [(own(), Ok(true)), (other, Err(SigningRefusal::OtherKey))] {
        let mut record = key.0.to_vec();
        record.extend([9; 40]);
        let record = SigningRequest::PeerRecord {
            chain: CHAIN,
            record: Bounded::new(record).unwrap(),
        };
        assert_eq!(past.allow(&record, &own()), expected);
    }
    let transfer = Transaction {
        chain_id: CHAIN,
        sender: own(),
        nonce: Nonce::ZERO,
        valid_until: Height(9),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: other.address(),
            amount: Amount::ZERO,
        },
    };
    let transfer = SigningRequest::Transaction(Box::new(transfer));
    assert_eq!(
        past.allow(&transfer, &own()),
        Err(SigningRefusal::Transaction)
    );
}

/// Against every order of requests: what was signed is never evidence, whatever was asked in between.
#[test]
fn no_order_of_requests_makes_evidence() {
    let asked = [
        notarize(1, 1),
        notarize(1, 2),
        nullify(1),
        finalize(1, 1),
        finalize(1, 2),
    ];
    for order in 0..5_u32.pow(5) {
        let picks = (0..5).map(|digit| usize::try_from(order / 5_u32.pow(digit) % 5).unwrap());
        let (mut past, mut signed) = (SignedPast::default(), [false; 5]);
        for pick in picks {
            let before = past.clone();
            if past.allow(&asked[pick], &own()).is_ok() {
                signed[pick] = true;
            } else {
                assert_eq!(past, before, "a refusal changes nothing");
            }
            past = decode(&encode(&past), 1 << 16).unwrap();
        }
        let [one, two, nullified, first, second] = signed;
        let contradicts = one && two || first && second || nullified && (first || second);
        assert!(!contradicts, "{order}: {signed:?}");
    }
}
