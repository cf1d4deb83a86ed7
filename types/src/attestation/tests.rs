//! Leaves and their links, openings, divergences, contradictions and draws of tasks.

use super::*;

fn leaves(n: u32) -> Vec<(TaskIndex, Hash32)> {
    (0..n)
        .map(|i| (TaskIndex(i), Hash32::of(Domain::LEAF, &i)))
        .collect()
}

/// An outcome that names these two outputs.
fn outcome(outputs: [&[u8]; 2]) -> Outcome {
    Outcome {
        exit: Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: BlobId::of(b""),
        stderr: BlobId::of(b""),
        outputs: Bounded::new(outputs.map(|bytes| Some(BlobId::of(bytes))).into()).unwrap(),
    }
}

#[test]
fn a_leaf_of_a_chain_holds_what_the_task_before_left() {
    let mut workload = crate::testing::workload(b"module", 3);
    let outcomes = |first: [&[u8]; 2]| {
        let rest = [outcome([b"b", b"2"]), outcome([b"c", b"3"])];
        Outcomes(Bounded::new([vec![outcome(first)], rest.into()].concat()).unwrap())
    };
    let (one, other) = (outcomes([b"a", b"1"]), outcomes([b"a", b"0"]));
    let (of_one, of_other) = (one.leaves(&workload), other.leaves(&workload));
    assert_ne!(of_one[0], of_other[0]);
    assert_eq!(
        of_one[1..],
        of_other[1..],
        "tasks of an array are independent"
    );
    assert!(
        one.states(&workload.state)
            .0
            .iter()
            .all(|state| state.is_empty())
    );
    workload.state = StateOutputs(Bounded::new(vec![1]).unwrap());
    let (of_one, of_other) = (one.leaves(&workload), other.leaves(&workload));
    assert_ne!(of_one[1], of_other[1]);
    assert_eq!(
        of_one[2], of_other[2],
        "it begins with what the second left"
    );
    let files = |bytes: &[u8]| Bounded::new(vec![Some(BlobId::of(bytes))]).unwrap();
    let handed_on = vec![files(b"1"), files(b"2")];
    assert_eq!(one.states(&workload.state).0.into_inner(), handed_on);
    let alone = leaf(&workload, TaskIndex(1), &files(b"1"), &one.0[1]);
    assert_eq!(alone, of_one[1].1);
}

#[test]
fn an_opening_shows_exactly_the_drawn_tasks() {
    let (all, salt) = (leaves(7), Hash32([3; 32]));
    let covered: Vec<_> = all.iter().map(|(i, _)| *i).collect();
    for drawn in [vec![], vec![0], vec![2, 5], (0..7).collect::<Vec<u32>>()] {
        let drawn: Vec<_> = drawn.into_iter().map(TaskIndex).collect();
        let opening = Opening::new(salt, &all, &drawn, BlobId::of(b"")).unwrap();
        assert_eq!(opening.root, result_root_of(&salt, &all));
        assert!(opening.is_consistent(&covered, &drawn));
        assert!(!opening.is_consistent(&covered, &[TaskIndex(1)]));
    }
    let mut wrong = Opening::new(salt, &all, &[TaskIndex(2)], BlobId::of(b"")).unwrap();
    wrong.salt.0[0] ^= 1;
    assert!(!wrong.is_consistent(&covered, &[TaskIndex(2)]));
}

#[test]
fn a_divergence_opens_one_task_of_a_result() {
    let (all, salt) = (leaves(5), Hash32([3; 32]));
    let mine: Vec<_> = [0, 2, 4].map(|at: usize| all[at]).into();
    let covered: Vec<_> = mine.iter().map(|(index, _)| *index).collect();
    for (task, leaf) in &mine {
        let shown = Divergence::new(salt, &mine, *task).unwrap();
        assert_eq!(
            (shown.root, shown.leaf),
            (result_root_of(&salt, &mine), *leaf)
        );
        assert!(shown.is_consistent(&covered));
        assert!(!shown.is_consistent(&covered[1..]));
        let mut wrong = shown.clone();
        wrong.leaf.0[0] ^= 1;
        assert!(!wrong.is_consistent(&covered));
    }
    assert_eq!(Divergence::new(salt, &mine, TaskIndex(1)), None);
}

#[test]
fn a_contradiction_shows_both_leaves_of_one_task() {
    let (settled, salt, own_salt) = (leaves(5), Hash32([3; 32]), Hash32([4; 32]));
    let root = result_root_of(&salt, &settled);
    let found = (TaskIndex(2), Hash32([9; 32]));
    let shown = Contradiction::new(own_salt, found, &salt, &settled).unwrap();
    assert_eq!(shown.leaf, settled[2].1);
    assert_eq!(shown.divergence.root, result_root_of(&own_salt, &[found]));
    assert!(shown.is_consistent(&TaskSet::all(5), &root, &salt));
    assert!(!shown.is_consistent(&TaskSet::all(4), &root, &salt));
    assert!(!shown.is_consistent(&TaskSet::all(2), &root, &salt));
    assert!(!shown.is_consistent(&TaskSet::all(5), &own_salt, &salt));
    assert!(!shown.is_consistent(&TaskSet::all(5), &root, &own_salt));
    for change in [
        |one: &mut Contradiction| one.leaf.0[0] ^= 1,
        |one: &mut Contradiction| one.divergence.leaf.0[0] ^= 1,
        |one: &mut Contradiction| one.divergence.task = TaskIndex(3),
    ] {
        let mut wrong = shown.clone();
        change(&mut wrong);
        assert!(!wrong.is_consistent(&TaskSet::all(5), &root, &salt));
    }
    let beyond = (TaskIndex(5), Hash32([9; 32]));
    assert_eq!(Contradiction::new(own_salt, beyond, &salt, &settled), None);
}

#[test]
fn draws_are_distinct_in_range_and_of_the_asked_number() {
    let none = StateOutputs::default();
    for count in 0..=12 {
        let drawn = drawn_tasks(&Hash32([9; 32]), (&TaskSet::all(10), &none), count);
        assert_eq!(drawn.len(), usize::try_from(count.min(10)).unwrap());
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(drawn.iter().all(|task| task.0 < 10));
    }
}

#[test]
fn draws_of_named_tasks_are_among_them() {
    let none = StateOutputs::default();
    let named = [3, 7, 27, 64, 99].map(TaskIndex);
    let tasks = TaskSet::named(100, &named).unwrap();
    for seed in 0..50 {
        let drawn = drawn_tasks(&Hash32([seed; 32]), (&tasks, &none), 2);
        assert_eq!(drawn.len(), 2);
        assert!(drawn[0] < drawn[1] && drawn.iter().all(|task| named.contains(task)));
    }
    assert_eq!(drawn_tasks(&Hash32([9; 32]), (&tasks, &none), 5), named);
}

#[test]
fn draws_of_a_chain_are_rows_and_cover_each_task_alike() {
    let state = StateOutputs(Bounded::new(vec![0]).unwrap());
    let all = TaskSet::all(5);
    let mut covered = [0u32; 5];
    for seed in 0..=255u8 {
        for salt in 0..8u8 {
            let mut bytes = [seed; 32];
            bytes[0] = salt;
            let drawn = drawn_tasks(&Hash32(bytes), (&all, &state), 2);
            let row = matches!(drawn[..], [a, b] if b.0 == a.0 + 1 || (a.0, b.0) == (0, 4));
            assert!(row, "{drawn:?}");
            for task in drawn {
                covered[usize::try_from(task.0).unwrap()] += 1;
            }
        }
    }
    // 2,048 draws of 2 of 5 tasks: 819 each.
    assert!(
        covered.iter().all(|times| (700..940).contains(times)),
        "{covered:?}"
    );
    let seed = Hash32([9; 32]);
    assert_eq!(drawn_tasks(&seed, (&all, &state), 5).len(), 5);
    assert_eq!(drawn_tasks(&seed, (&all, &state), 4).len(), 4);
}
