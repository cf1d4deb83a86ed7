//! A daemon under a service manager: what it tells it, and what a reload changes.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Net, binary, finish, text};

/// How long anything may take; far more than it does.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A service manager that starts one daemon, with a watchdog of four seconds.
struct Manager {
    socket: UnixDatagram,
    daemon: Child,
}

impl Manager {
    fn start(folder: &Path, role: &str, dir: &Path) -> Self {
        let path = folder.join(format!("{role}.notify"));
        let socket = UnixDatagram::bind(&path).unwrap();
        let timeout = Some(Duration::from_millis(200));
        socket.set_read_timeout(timeout).unwrap();
        let daemon = Command::new(binary())
            .args([role, "start", "--dir", text(dir)])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "4000000")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { socket, daemon }
    }

    /// What the daemon says next; nothing if it says nothing for a while.
    fn hear(&self) -> Option<String> {
        let mut bytes = [0; 256];
        match self.socket.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8_lossy(&bytes[..length]).trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until the daemon says something; gives all it said before.
    fn wait(&self, wanted: &str) -> Vec<String> {
        let (mut before, end) = (Vec::new(), Instant::now() + TIMEOUT);
        while Instant::now() < end {
            match self.hear() {
                Some(said) if said == wanted => return before,
                said => before.extend(said),
            }
        }
        panic!("no {wanted} after {before:?}");
    }

    fn signal(&self, what: Signal) {
        kill_process(Pid::from_child(&self.daemon), what).unwrap();
    }
}

fn change_log(file: &Path, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        if line.starts_with("log = ") {
            format!("log = {to:?}")
        } else {
            line.to_owned()
        }
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    std::fs::write(file, lines.join("\n")).unwrap();
}

#[test]
fn a_service_manager_is_told_and_a_reload_changes_what_is_logged() {
    let mut net = Net::up(1);
    let root = net.devnet.root().to_owned();
    for (role, name, config) in [
        ("node", "validator-1", "node.toml"),
        ("partner", "partner-0", "partner.toml"),
    ] {
        net.signal(name, Signal::TERM);
        let process = net.devnet.process_mut(name).unwrap().clone();
        net.wait("its end", 60, |_| !process.is_running());
        let dir = root.join(name);
        let manager = Manager::start(&root, role, &dir);
        assert_eq!(manager.wait("READY=1"), [""; 0], "nothing comes before");
        manager.wait("WATCHDOG=1");
        manager.wait("WATCHDOG=1");

        // A loop that stands still is not covered up by another thread.
        manager.signal(Signal::STOP);
        while manager.hear().is_some() {}
        assert_eq!(manager.hear(), None);
        manager.signal(Signal::CONT);
        manager.wait("WATCHDOG=1");

        change_log(&dir.join(config), "warn,gridproof::logging=info");
        manager.signal(Signal::HUP);
        manager.wait("WATCHDOG=1");
        let asked = Instant::now();
        manager.signal(Signal::TERM);
        manager.wait("STOPPING=1");
        let ended = finish(manager.daemon);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(asked.elapsed() < TIMEOUT);
        let logged = &ended.stderr;
        assert!(
            logged.contains("logging \"warn,gridproof::logging=info\""),
            "{logged}"
        );
        assert!(!logged.contains("stopp"), "less is logged now: {logged}");
    }
}
