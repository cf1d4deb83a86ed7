//! What stands in the ledger after what happened on chain.

mod causes;

use types::hash::Hash32;
use types::number::SQUARE;

use super::*;

fn squares(n: u128) -> Amount {
    Amount(n * SQUARE.0)
}

fn job(n: u8) -> JobId {
    JobId(Hash32([n; 32]))
}

fn duty(n: u8, role: AssignmentRole, pay: u128) -> BookedDuty {
    BookedDuty {
        job: job(n),
        attempt: Attempt(0),
        role,
        pay: squares(pay),
        ended: None,
        phase: DutyPhase::Unknown,
        until: None,
        verdicts: 0,
        disputed: false,
        reports: 0,
        pays_nothing: false,
        cause: None,
    }
}

/// A registered partner with 100 on its account and a bond of 1,000.
fn state(height: u64, duties: &[BookedDuty]) -> BookedState {
    BookedState {
        height: Height(height),
        time: Timestamp(height * 1_000),
        balance: squares(100),
        nonce: Nonce(1),
        bond: squares(1_000),
        unbonding: Amount::ZERO,
        offer: Some((squares(1), 2)),
        duties: duties.to_vec(),
        chain_time: ChainTime(height * 1_000),
        shares: Vec::new(),
    }
}

use AssignmentRole::{Primary, Verifier};

#[test]
fn pay_goes_to_the_job_that_ended_and_what_is_more_came_from_elsewhere() {
    let before = state(1, &[duty(1, Primary, 5), duty(2, Verifier, 2)]);
    let mut after = state(2, &[duty(2, Verifier, 2)]);
    after.balance = squares(108);
    let all = entries(&before, &after, squares(1));
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].job, all[0].earned), (Some(job(1)), squares(5)));
    assert_eq!((all[1].job, all[1].received), (None, squares(3)));
    assert_eq!(
        all[0].words(),
        format!("ran job {}: earned 5 SQUARE", job(1))
    );
    assert_eq!(all[1].words(), "received 3 SQUARE");
}

#[test]
fn an_account_that_is_known_as_of_an_older_height_is_waited_for() {
    let before = state(10, &[duty(1, Verifier, 2)]);
    // The job's end was seen at height 12, the account is that of height 11.
    let mut early = state(11, &[]);
    early.keep_ending(&before, Height(12));
    assert_eq!(early.duties[0].ended, Some(Height(12)));
    assert_eq!(entries(&before, &early, squares(1)), []);
    let mut paid = state(11, &[]);
    paid.balance = squares(102);
    paid.keep_ending(&early, Height(13));
    assert_eq!(entries(&early, &paid, squares(1))[0].earned, squares(2));
    let mut unpaid = state(12, &[]);
    unpaid.keep_ending(&early, Height(13));
    let all = entries(&early, &unpaid, squares(1));
    assert_eq!((all.len(), all[0].earned), (1, Amount::ZERO));
}

#[test]
fn a_penalty_goes_to_the_only_job_that_ended_unpaid() {
    let before = state(1, &[duty(1, Primary, 5), duty(2, Verifier, 2)]);
    let mut after = state(2, &[]);
    (after.balance, after.bond) = (squares(105), squares(990));
    let all = entries(&before, &after, squares(1));
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].earned, all[0].lost), (squares(5), Amount::ZERO));
    assert_eq!((all[1].job, all[1].lost), (Some(job(2)), squares(10)));
    let words = format!("verified job {}: lost of the bond 10 SQUARE", job(2));
    assert_eq!(all[1].words(), words);
    // Of two that ended unpaid nobody can say which one cost it.
    after.balance = squares(100);
    let all = entries(&before, &after, squares(1));
    let losses: Vec<_> = all.iter().map(|entry| (entry.job, entry.lost)).collect();
    let none = Amount::ZERO;
    let expected = [
        (Some(job(1)), none),
        (Some(job(2)), none),
        (None, squares(10)),
    ];
    assert_eq!(losses, expected);
}

#[test]
fn a_refilled_bond_is_no_loss_and_its_fee_is_one_of_the_fees() {
    let before = state(1, &[duty(1, Primary, 5)]);
    let mut after = state(2, &[]);
    (after.balance, after.bond) = (squares(54), squares(1_050));
    after.nonce = Nonce(2);
    let all = entries(&before, &after, squares(1));
    assert_eq!(all[0].earned, squares(5));
    assert_eq!(
        (all[1].fees, all[1].lost, all[1].received),
        (squares(1), Amount::ZERO, Amount::ZERO)
    );
}

#[test]
fn unbonded_money_that_arrives_is_not_earned() {
    let mut before = state(1, &[]);
    before.unbonding = squares(50);
    let mut after = state(2, &[]);
    after.balance = squares(150);
    assert_eq!(entries(&before, &after, squares(1)), []);
}

#[test]
fn a_cancelled_job_pays_a_part_and_one_that_pays_nothing_says_so() {
    let before = state(1, &[duty(1, Primary, 5)]);
    let mut after = state(2, &[]);
    let nothing = entries(&before, &after, squares(1));
    assert!(nothing[0].words().ends_with("earned nothing, lost nothing"));
    after.balance = squares(102);
    assert_eq!(entries(&before, &after, squares(1))[0].earned, squares(2));
    let mut totals = LedgerTotals::default();
    totals.add(&entries(&before, &after, squares(1))[0]);
    totals.add(&nothing[0]);
    assert_eq!(
        (totals.paid, totals.unpaid, totals.earned),
        (1, 1, squares(2))
    );
}

#[test]
fn the_next_attempt_is_another_duty() {
    let before = state(1, &[duty(1, Primary, 5)]);
    let mut again = duty(1, Verifier, 2);
    again.attempt = Attempt(1);
    let mut after = state(2, &[again]);
    after.bond = squares(999);
    let all = entries(&before, &after, squares(1));
    assert_eq!((all.len(), all[0].lost), (1, squares(1)));
}

#[test]
fn what_is_registered_is_told_with_the_epoch_from_which_it_counts() {
    let epoch = Epoch(3);
    let unknown = BookedState {
        offer: None,
        bond: Amount::ZERO,
        ..state(1, &[])
    };
    let first = news(Some(&unknown), &state(2, &[]), epoch);
    assert!(
        first[0].starts_with("registered: asks 1 SQUARE"),
        "{first:?}"
    );
    assert!(first[0].ends_with("counts from epoch 4 on"), "{first:?}");
    assert!(first[1].starts_with("the bond is 1000 SQUARE"), "{first:?}");
    assert_eq!(news(Some(&state(1, &[])), &state(2, &[]), epoch), [""; 0]);
    let started = news(None, &state(2, &[]), epoch);
    assert!(
        started.len() == 1 && started[0].starts_with("is registered"),
        "{started:?}"
    );
    let mut dearer = state(2, &[]);
    dearer.offer = Some((squares(2), 2));
    let changed = news(Some(&state(1, &[])), &dearer, epoch);
    assert!(
        changed[0].contains("new offer") && changed[0].contains("asks 2"),
        "{changed:?}"
    );
}

#[test]
fn a_book_that_is_too_long_or_damaged_is_refused_and_lines_that_are_damaged_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(LedgerBook::read(folder.path()).unwrap(), None);
    std::fs::write(folder.path().join(LEDGER_FILE), "{").unwrap();
    assert!(LedgerBook::read(folder.path()).is_err());
    let entry = LedgerEntry {
        earned: squares(1),
        ..LedgerEntry::default()
    };
    let line = serde_json::to_string(&entry).unwrap();
    std::fs::write(
        folder.path().join("ledger.jsonl"),
        format!("{line}\nx\n{line}\n"),
    )
    .unwrap();
    assert_eq!(LedgerBook::entries(folder.path()), [entry.clone(), entry]);
}
