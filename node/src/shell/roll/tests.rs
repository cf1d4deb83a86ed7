//! What people read of validators and of a chain that stands still.

use consensus::Leaders;
use types::codec::Text;
use types::hash::ChainId;
use types::number::{Epoch, View};
use types::testing::committee;
use types::time::Now;

use super::*;

fn attendance() -> Attendance {
    let committee = committee(&[4, 3, 3, 3]);
    let leaders = Leaders::new(ChainId::default(), Epoch::FIRST, committee.clone());
    let own = committee.ids()[0];
    Attendance::new(own, committee, leaders, View(1), 500, Now::default())
}

fn connected(attendance: &Attendance) -> ConnectedPeers {
    let ids = attendance.committee().ids();
    let card = PeerCard {
        name: Text::new("basel").unwrap(),
        addresses: vec!["/ip4/192.0.2.1/tcp/26600".parse().unwrap()],
    };
    ConnectedPeers {
        peers: [ids[1]].into(),
        cards: [(ids[2], card)].into(),
    }
}

#[test]
fn a_standstill_names_who_is_silent_and_how_much_stake_that_is() {
    let attendance = attendance();
    let ids = attendance.committee().ids();
    let connected = connected(&attendance);
    let standstill = ChainStandstill {
        for_ms: 23_400,
        silent: vec![ids[2], ids[3]],
        quorum_is_heard: false,
    };
    let short: String = ids[2].to_string().chars().take(8).collect();
    assert_eq!(
        reason(&standstill, &attendance, &connected, true, &BTreeMap::new()),
        format!(
            "no block for 23 s: of 2 of 4 validators, with 6 of 13 stake, nothing is heard: basel ({short}), {}",
            ids[3]
        )
    );
    let silent = reason(
        &standstill,
        &attendance,
        &connected,
        false,
        &BTreeMap::new(),
    );
    assert!(silent.contains("this validator does not vote"), "{silent}");
    let heard = ChainStandstill {
        quorum_is_heard: true,
        silent: Vec::new(),
        ..standstill
    };
    let heard = reason(&heard, &attendance, &connected, true, &BTreeMap::new());
    assert!(heard.contains("a quorum is heard"), "{heard}");
}

#[test]
fn the_list_has_every_member_by_stake_with_name_and_address() {
    let attendance = attendance();
    let ids = attendance.committee().ids();
    let connected = connected(&attendance);
    let (height, since) = (Height(7), Timestamp(5));
    let list = list(&attendance, ids[0], &connected, height, since);
    assert_eq!(list.validators.len(), 4);
    let stakes: Vec<_> = list.validators.iter().map(|view| view.stake.0).collect();
    assert_eq!(stakes, [4, 3, 3, 3]);
    let of = |id| list.validators.iter().find(|view| view.id == id).unwrap();
    assert!(of(ids[0]).own && of(ids[0]).connected);
    assert!(of(ids[1]).connected && !of(ids[2]).connected);
    assert_eq!(of(ids[2]).name.as_deref(), Some("basel"));
    assert_eq!(of(ids[2]).addresses, ["/ip4/192.0.2.1/tcp/26600"]);
    assert_eq!(of(ids[1]).name, None);
}

#[test]
fn a_clock_is_ahead_or_behind() {
    assert_eq!(
        clock_words(201),
        "201 ms ahead of the other validators' clocks"
    );
    assert_eq!(
        clock_words(-201),
        "201 ms behind the other validators' clocks"
    );
}
