//! Validators that try to spend our time: what they get for it is bounded.

use super::*;
use crate::replica::conduct::{FIRST_BAN_MS, TOLERATED};

#[test]
fn mallory_who_plants_garbage_for_vote_recovery_is_reported_once_and_remembered() {
    let (mut replica, keys) = replica();
    // Not those that it leads: they are verified at once.
    let mut led = |view: &u64| replica.engine.leader(View(*view)) == MALLORY;
    let others: Vec<u64> = (1..=60).filter(|view| !led(view)).collect();
    for view in others {
        let statement = Statement {
            epoch: Epoch::FIRST,
            view: View(view),
            subject: Subject::Nullify,
        };
        let mut vote = Vote::sign(statement, MALLORY, &keys[1], CHAIN);
        vote.signature.0[1] ^= 1;
        replica.receive(now(0), id(MALLORY), Message::Vote(vote));
    }
    let ask = |replica: &mut Replica, after| {
        let request = Message::Request(Request::VoteRecovery { session: after });
        effects(replica.receive(now(after), id(MALLORY), request))
    };
    let report = Effect::Report {
        by: id(MALLORY),
        fault: Fault::BadSignature,
    };
    assert!(ask(&mut replica, 0).contains(&report));
    assert!(
        !ask(&mut replica, 500).contains(&report),
        "nothing is left to verify"
    );
}

/// What a validator sends over and over, made anew for each number.
type Attack = fn(&[SecretKey], u64) -> Message;

/// Attacks that each cost a correct validator at least one verification of a signature.
fn attacks() -> Vec<(&'static str, Attack)> {
    vec![
        ("forged certificates", |keys, n| {
            Message::Certificate(forged(keys, statement(100 + n, Subject::Nullify)))
        }),
        ("certificates of too few", |keys, n| {
            let statement = statement(100 + n, Subject::Nullify);
            Message::Certificate(certificate(keys, statement, &[1, 2]))
        }),
        ("votes of others", |keys, n| {
            let statement = statement(1 + n % 60, Subject::Nullify);
            Message::Vote(signed(keys, ValidatorIndex(2), statement))
        }),
        ("forged second votes", |keys, n| {
            let block = BlockId(Hash32::of(types::hash::Domain::LOG_RECORD, &n));
            let mut vote = signed(keys, MALLORY, statement(7, Subject::Finalize { block }));
            vote.signature.0[2] ^= u8::from(n > 0);
            Message::Vote(vote)
        }),
        ("proposals of others' views", |keys, n| {
            Message::Proposal(Box::new(proposal(
                keys,
                MALLORY,
                1,
                block(MALLORY, 1 + u128::from(n)),
            )))
        }),
    ]
}

#[test]
fn mallory_who_repeats_a_fault_is_banned_for_a_doubling_time() {
    for (name, attack) in attacks() {
        let (mut replica, keys) = replica();
        let first = replica.engine.leader(View(1));
        let from = if name.starts_with("proposals") && first == MALLORY {
            // Of a view that it does not lead.
            continue;
        } else {
            MALLORY
        };
        let (mut bans, mut faults) = (Vec::new(), 0);
        for n in 0..1_200 {
            let message = attack(&keys, n);
            let found = effects(replica.receive(now(50 * n), id(from), message));
            faults += faults_of(&found, from).len();
            bans.extend(found.iter().filter_map(|effect| match effect {
                Effect::Ban { validator, for_ms } => {
                    assert_eq!(*validator, id(from));
                    Some(*for_ms)
                }
                _ => None,
            }));
        }
        let doubling: Vec<u64> = (0..bans.len()).map(|n| FIRST_BAN_MS << n).collect();
        assert_eq!(bans, doubling, "{name}");
        assert!(bans.len() >= 5, "{name}: {bans:?}");
        let tolerated = usize::try_from(TOLERATED).unwrap();
        assert_eq!(faults, tolerated - 1 + bans.len(), "{name} in a minute");
        assert!(replica.is_banned(now(60_000), &id(from)));
        assert!(!replica.is_banned(now(60_000), &id(ValidatorIndex(2))));
    }
}

#[test]
fn faults_of_other_channels_count_too() {
    let (mut replica, keys) = replica();
    for _ in 1..TOLERATED {
        assert_eq!(
            effects(replica.blame(now(0), id(MALLORY), Fault::BadFrame)).len(),
            1
        );
    }
    let last = effects(replica.blame(now(0), id(MALLORY), Fault::BadTransactions));
    let ban = Effect::Ban {
        validator: id(MALLORY),
        for_ms: FIRST_BAN_MS,
    };
    assert!(last.contains(&ban), "{last:?}");
    let vote = signed(&keys, MALLORY, statement(1, Subject::Nullify));
    replica.receive(now(1), id(MALLORY), Message::Vote(vote));
    assert!(replica.collector.is_empty(), "what it says is not taken");
    replica.receive(now(FIRST_BAN_MS), id(MALLORY), Message::Vote(vote));
    assert_eq!(replica.collector.len(), 1, "until the ban ends");
    let stranger = types::testing::validator_id(77);
    assert_eq!(
        effects(replica.blame(now(0), stranger, Fault::BadFrame)),
        []
    );
    let me = effects(replica.blame(now(0), id(ValidatorIndex(0)), Fault::BadFrame));
    assert!(!me.iter().any(|effect| matches!(effect, Effect::Ban { .. })));
}

/// Bytes that a validator is sent in that time, if it sends `message` every millisecond.
fn bytes_sent(replica: &mut Replica, message: &Message, ms: u64) -> usize {
    let mut bytes = 0;
    for at in 0..ms {
        for effect in effects(replica.receive(now(at), id(MALLORY), message.clone())) {
            match effect {
                Effect::Send { message, .. } => bytes += message.encoded_bytes(),
                Effect::Serve { to, .. } => {
                    // The store's answer: a megabyte.
                    bytes += 1 << 20;
                    replica.served(now(at), to, 1 << 20);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    bytes
}

#[test]
fn mallory_who_asks_without_pause_gets_its_share_and_the_others_theirs() {
    let requests = [
        Request::Block(BlockId(Hash32([8; 32]))),
        Request::Range(Height(1)),
        Request::VoteRecovery { session: 4 },
    ];
    for request in requests {
        let (mut replica, _) = replica();
        let sent = bytes_sent(&mut replica, &Message::Request(request), 2_000);
        // A quarter of 32 MiB a second, and the credit.
        assert!(sent <= (16 << 20) + (6 << 20), "{request:?}: {sent} bytes");
        let honest = ValidatorIndex(2);
        let asks = replica.receive(now(2_000), id(honest), Message::Request(request));
        assert!(!effects(asks).is_empty(), "{request:?}");
    }
}

#[test]
fn an_old_finalization_is_answered_within_the_budget() {
    let (mut replica, keys) = replica();
    let newer = Subject::Finalize {
        block: BlockId(Hash32([8; 32])),
    };
    let newer = certificate(&keys, statement(9, newer), &[0, 1, 2]);
    replica.receive(now(0), id(ValidatorIndex(2)), Message::Certificate(newer));
    let mut old = certificate(
        &keys,
        statement(
            1,
            Subject::Finalize {
                block: BlockId::default(),
            },
        ),
        &[],
    );
    old.signatures = Bounded::default();
    let (mut sent, at) = (0usize, now(1));
    for _ in 0..20_000 {
        for effect in effects(replica.receive(at, id(MALLORY), Message::Certificate(old.clone()))) {
            if let Effect::Send { message, .. } = effect {
                sent += message.encoded_bytes();
            }
        }
    }
    assert!(
        sent > 0 && sent <= (4 << 20) + 1_000,
        "{sent} bytes at once"
    );
}

#[test]
fn a_request_that_must_wait_is_answered_by_the_timer() {
    let (mut replica, _) = replica();
    let ask = |session| Message::Request(Request::VoteRecovery { session });
    let mut session = 0;
    loop {
        session += 1;
        let found: Vec<Effect> = replica
            .receive(now(0), id(MALLORY), ask(session))
            .into_iter()
            .collect();
        if !found
            .iter()
            .any(|effect| matches!(effect, Effect::Send { .. }))
        {
            break;
        }
    }
    let mut at = 0;
    let answer = loop {
        at += 1;
        let sends = effects(replica.step(now(at), Event::Timer));
        let answer = sends.into_iter().find_map(|effect| match effect {
            Effect::Send {
                message: Message::VoteRecovery { session, .. },
                ..
            } => Some(session),
            _ => None,
        });
        if let Some(answer) = answer {
            break answer;
        }
    };
    assert_eq!(answer, session, "the last one asked");
    assert!(at < 500, "within a retry interval: {at} ms");
}

#[test]
fn vote_recoveries_that_nobody_asked_for_are_not_looked_into() {
    let (mut replica, keys) = replica();
    // Ours by its signature, so that looking into it would show: a vote that our log lacks.
    let votes = vec![signed(
        &keys,
        ValidatorIndex(0),
        statement(5, Subject::Nullify),
    )];
    let answer = |session| Message::VoteRecovery {
        session,
        votes: Bounded::new(votes.clone()).unwrap(),
        entry: None,
    };
    let found = effects(replica.receive(now(0), id(MALLORY), answer(START + 1)));
    assert_eq!(found, [], "of another start");
    let found = effects(replica.receive(now(0), id(MALLORY), answer(START)));
    assert!(!found.is_empty(), "of this one: the log was cut");
    let found = effects(replica.receive(now(0), id(MALLORY), answer(START)));
    assert_eq!(found, [], "a second answer");
}

#[test]
fn the_next_request_is_answered_once_the_store_has_answered() {
    let (mut replica, _) = replica();
    let ask = |height| Message::Request(Request::Range(Height(height)));
    let serves = |effects: &[Effect], height| {
        let to = id(MALLORY);
        let request = Request::Range(Height(height));
        effects.contains(&Effect::Serve { to, request })
    };
    let first = effects(replica.receive(now(0), id(MALLORY), ask(1)));
    assert!(serves(&first, 1));
    assert_eq!(effects(replica.receive(now(0), id(MALLORY), ask(2))), []);
    let second = effects(replica.served(now(0), id(MALLORY), 100));
    assert!(serves(&second, 2), "{second:?}");
}
