//! The end of a validator: what hangs is named and left alone.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use testnet::devnet::process::signal;

use crate::harness::{Net, binary, gridproof, text};

const NAME: &str = "validator-0";

/// A validator whose end this test sees. Its clients have ten minutes for everything.
struct WatchedValidator(Child);

impl Drop for WatchedValidator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl WatchedValidator {
    fn start(net: &Net) -> Self {
        let output = File::create(log(net)).unwrap();
        let child = Command::new(binary())
            .args(["node", "start", "--dir"])
            .arg(net.devnet.root().join(NAME))
            .args(["--set", "rpc.client_timeout_ms=600000"])
            .args(["--set", "rpc.request_timeout_ms=600000"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let started = Self(child);
        net.wait("the validator", 60, |net| net.heights()[0].is_some());
        started
    }

    /// Asks it to stop and waits for its end, which must be a good one; gives its log.
    fn stop(mut self, net: &Net) -> String {
        signal(self.0.id(), Signal::TERM);
        let mut ended = None;
        net.wait("the end of the validator", 60, |_| {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        let log = std::fs::read_to_string(log(net)).unwrap();
        assert!(ended.unwrap().success(), "{log}");
        assert!(log.contains("stopped"), "the other parts ended: {log}");
        log
    }
}

fn log(net: &Net) -> std::path::PathBuf {
    net.scratch().join("validator.log")
}

/// A connection with the beginning of a request.
fn open(net: &Net, head: &str) -> TcpStream {
    let address = net.rpc(0).trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!("{head} HTTP/1.1\r\nhost: {address}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn answers(stream: &mut TcpStream, with: &str) {
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(std::str::from_utf8(&answer), Ok(with));
}

/// A client that begins a body and never ends it: the server has asked for it.
fn half_a_body(net: &Net) -> TcpStream {
    let mut stream = open(net, "POST /v1/transactions");
    let expects =
        b"content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(expects).unwrap();
    answers(&mut stream, "HTTP/1.1 100");
    stream.write_all(b"{").unwrap();
    stream
}

/// A client that asks for more than all buffers take and reads nothing: the server takes no more from it.
fn unread_answers(net: &Net) -> TcpStream {
    let mut stream = open(net, "GET /v1/openapi.json");
    stream.write_all(b"\r\n").unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let address = net.rpc(0).trim_start_matches("http://");
    let padding = "x".repeat(4_000);
    let again = format!("GET /v1/openapi.json HTTP/1.1\r\nhost: {address}\r\nx: {padding}\r\n\r\n");
    let full = (0..100_000).find_map(|_| stream.write_all(again.as_bytes()).err());
    let kind = full.map(|error| error.kind());
    assert!(
        matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "it reads on: {kind:?}"
    );
    stream
}

#[test]
fn clients_that_hang_do_not_keep_a_validator_from_stopping() {
    let mut net = Net::up(0);
    let dir = text(net.devnet.root()).to_owned();
    gridproof(&["devnet", "stop", NAME, "--dir", &dir]).success();

    // A reader that waits for events is answered at once, by one or the other way. No block comes any more.
    let validator = WatchedValidator::start(&net);
    for other in ["validator-1", "validator-2"] {
        net.kill(other);
    }
    let client = net.client(0);
    let mut cursor = 0;
    net.wait("silence", 60, |net| {
        let now = net.block_on(client.events(None, Duration::ZERO, 1));
        cursor = now.unwrap().cursor;
        let more = net.block_on(client.events(Some(cursor), Duration::from_secs(3), 1));
        more.unwrap().events.is_empty()
    });
    let mut poll = open(
        &net,
        &format!("GET /v1/events?cursor={cursor}&wait_ms=25000"),
    );
    poll.write_all(b"\r\n").unwrap();
    let mut stream = open(&net, "GET /v1/events/stream");
    stream.write_all(b"\r\n").unwrap();
    answers(&mut stream, "HTTP/1.1 200");
    let log = validator.stop(&net);
    answers(&mut poll, "HTTP/1.1 200");
    assert!(!log.contains("left alone"), "{log}");

    // Clients that hang are left alone, and nothing else.
    let hang: [fn(&Net) -> TcpStream; 2] = [half_a_body, unread_answers];
    for client in hang {
        let validator = WatchedValidator::start(&net);
        let _held = client(&net);
        let log = validator.stop(&net);
        let named = "HTTP did not end within 1000 ms and is left alone";
        assert!(log.contains(named), "{log}");
        assert_eq!(log.matches("left alone").count(), 1, "{log}");
    }

    // What was left alone took nothing with it.
    for name in [NAME, "validator-1", "validator-2"] {
        net.restart(name);
    }
    let before = net.heights()[3].unwrap();
    net.wait("blocks of all", 60, |net| {
        let heights = net.heights();
        heights
            .iter()
            .all(|height| height.is_some_and(|height| height > before + 3))
    });
}
