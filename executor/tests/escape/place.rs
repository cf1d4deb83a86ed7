//! What the attempts reach for: a key file, files to harm, listening sockets, this process; and how one attempt is made.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Exit code of a process whose probe got through.
pub const SUCCEEDED: i32 = 42;
/// Exit code of a process whose probe was refused.
pub const REFUSED: i32 = 43;

/// What the key file holds.
const SECRET: &str = "a partner's key";
/// What a file that a probe may harm holds.
const VICTIM: &str = "as it was";

/// The library of probes, compiled once for each run.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("probes-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/escape/probes.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-w", source, "-ldl", "-o"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(compiled.success(), "{source} does not compile");
        path
    })
}

/// The names of all probes, as the source lists them.
pub fn probes() -> Vec<&'static str> {
    include_str!("probes.c")
        .split("PROBE(")
        .skip(1)
        .filter_map(|text| text.split_once(')'))
        .map(|(name, _)| name)
        .filter(|name| *name != "name")
        .collect()
}

/// Something for one probe to reach for.
pub struct Place {
    folder: TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    _sockets: [UnixListener; 2],
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("files")).unwrap();
        for (name, text) in [("account.key", SECRET), ("files/victim", VICTIM)] {
            std::fs::write(path(name), text).unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(0o600)).unwrap();
        }
        let name = SocketAddr::from_abstract_name(folder.path().as_os_str().as_encoded_bytes());
        let sockets = [
            UnixListener::bind(path("socket")).unwrap(),
            UnixListener::bind_addr(&name.unwrap()).unwrap(),
        ];
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _sockets: sockets,
            folder,
        }
    }

    /// The environment of a process that makes an attempt against the process `parent`.
    pub fn environment(&self, probe: &str, parent: u32) -> BTreeMap<&'static str, String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        BTreeMap::from([
            ("LD_PRELOAD", library().display().to_string()),
            ("PROBE", probe.to_owned()),
            ("PROBE_PARENT", parent.to_string()),
            ("PROBE_KEY", path("account.key")),
            ("PROBE_DIR", path("files")),
            (
                "PROBE_TCP",
                self.tcp.local_addr().unwrap().port().to_string(),
            ),
            (
                "PROBE_UDP",
                self.udp.local_addr().unwrap().port().to_string(),
            ),
            ("PROBE_UNIX", path("socket")),
            ("PROBE_ABSTRACT", self.folder.path().display().to_string()),
        ])
    }

    /// True if nothing was harmed.
    pub fn is_whole(&self) -> bool {
        let files = self.folder.path().join("files");
        let victim = files.join("victim");
        let mode = std::fs::metadata(&victim).map(|found| found.permissions().mode() & 0o777);
        std::fs::read_to_string(&victim).ok().as_deref() == Some(VICTIM)
            && mode.is_ok_and(|mode| mode == 0o600)
            && std::fs::read_dir(&files).unwrap().count() == 1
            && std::fs::read_to_string(self.folder.path().join("account.key")).unwrap() == SECRET
    }
}
