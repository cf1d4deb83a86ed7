//! The schedule of dials, in virtual time.

use super::*;

fn address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

// Eighths of a second: the library multiplies floats, which are exact for these.
const MIN: Duration = Duration::from_millis(125);
const MAX: Duration = Duration::from_millis(500);

fn dialer(now: Instant) -> Dialer {
    Dialer::new(&[address(1)], MIN, MAX, now)
}

#[test]
fn pauses_double_up_to_the_longest() {
    let start = Instant::now();
    let mut dialer = dialer(start);
    let mut times = Vec::new();
    for step in 0..400 {
        let now = start + Duration::from_millis(step * 5);
        if !dialer.due(now, |_| false).is_empty() {
            times.push(step * 5);
        }
    }
    assert_eq!(times, [0, 125, 375, 875, 1375, 1875]);
}

#[test]
fn nothing_is_dialed_while_a_dial_runs_or_the_peer_is_there() {
    let start = Instant::now();
    let (mut dialer, peer, late) = (
        dialer(start),
        PeerId::random(),
        start + Duration::from_secs(9),
    );
    let due = dialer.due(start, |_| false);
    let connection = ConnectionId::new_unchecked(1);
    dialer.started(&due[0].target, connection);
    assert!(dialer.due(late, |_| false).is_empty());
    dialer.connected(peer, connection);
    assert!(dialer.due(late, |other| *other == peer).is_empty());
    assert_eq!(dialer.due(late, |_| false).len(), 1);
    dialer.started(&DialTarget::Bootstrap(address(1)), connection);
    dialer.failed(connection);
    assert_eq!(dialer.due(late + MAX, |_| false).len(), 1);
}

#[test]
fn a_peer_that_proved_itself_is_dialed_soon_after_it_is_lost() {
    let start = Instant::now();
    let (mut dialer, peer) = (dialer(start), PeerId::random());
    dialer.add_peer(peer, vec![address(2)], start, Duration::ZERO);
    for step in 0..100 {
        dialer.due(start + Duration::from_millis(step * 10), |_| false);
    }
    let lost = start + Duration::from_secs(5);
    dialer.proved(peer);
    dialer.lost(peer, lost);
    let is_peer = |due: &[Dial]| due.iter().any(|due| due.target == DialTarget::Peer(peer));
    assert!(!is_peer(&dialer.due(lost, |_| false)));
    assert!(is_peer(&dialer.due(lost + MIN, |_| false)));
    assert!(is_peer(&dialer.due(lost + MIN * 2, |_| false)));
    dialer.remove_peer(peer);
    assert!(!is_peer(&dialer.due(lost + MAX * 9, |_| false)));
}

#[test]
fn our_own_address_is_forgotten() {
    let start = Instant::now();
    let mut dialer = dialer(start);
    let own = address(1).with(Protocol::P2p(PeerId::random()));
    dialer.remove_address(&own);
    assert!(dialer.due(start, |_| false).is_empty());
}
