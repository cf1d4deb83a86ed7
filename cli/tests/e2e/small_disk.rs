//! A partner on a disk of a few MiB: it declines what does not fit, pauses where nothing can be written, and goes on by itself.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use testnet::devnet::process::{signal, wait_until};

use crate::harness::{Net, binary, gridproof, histogram, text};

/// Mounts a small disk over the folder, fills it with what the folder held, and runs the partner there.
const SCRIPT: &str = "cp -a \"$1\" \"$2\" && mount -t tmpfs -o size=4m,mode=0700 tmpfs \"$1\" && cp -a \"$2\"/. \"$1\" \
                      && exec \"$0\" partner start --dir \"$1\"";

/// A partner in a mount namespace of its own.
struct CrampedPartner {
    child: Child,
    /// Its folder, seen from outside of the namespace.
    dir: PathBuf,
    log: PathBuf,
}

impl Drop for CrampedPartner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl CrampedPartner {
    fn start(dir: &Path, scratch: &Path) -> Self {
        let log = scratch.join("cramped.log");
        let output = File::create(&log).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT])
            .args([binary(), dir, &scratch.join("before")])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap();
        let inside = dir.strip_prefix("/").unwrap();
        Self {
            dir: PathBuf::from(format!("/proc/{}/root", child.id())).join(inside),
            child,
            log,
        }
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(
            wait_until(Duration::from_mins(2), || log().contains(words)),
            "no {words:?} in\n{}",
            log()
        );
    }

    /// Takes all that is left of the disk.
    fn fill(&self) -> PathBuf {
        let path = self.dir.join("ballast");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 1_024]).is_ok() {}
        path
    }
}

/// True if this user may mount in a namespace of its own.
fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn a_partner_on_a_small_disk_declines_and_a_full_one_pauses_it() {
    if !may_mount() {
        eprintln!("SKIPPED: this user may not mount a small file system (run the test as root)");
        return;
    }
    let mut net = Net::up(2);
    let name = "partner-0";
    let dir = net.devnet.root().join(name);
    net.signal(name, Signal::TERM);
    let process = net.devnet.process_mut(name).unwrap().clone();
    net.wait("the end of the daemon", 60, |_| !process.is_running());
    let mut cramped = CrampedPartner::start(&dir, net.scratch());
    cramped.wait_for("partner starts");
    cramped.wait_for("hardly any job fits");

    // It is the only one that can be drawn as primary, and says why it does not take the job.
    let spec = histogram(&net.scratch().join("job"), 1, 1);
    let only_here = "constraints: {attributes: {location: sion}}\n";
    let yaml = std::fs::read_to_string(&spec).unwrap() + only_here;
    std::fs::write(&spec, yaml).unwrap();
    let submit = ["job", "submit", text(&spec), "--rpc", net.rpc(0)];
    gridproof(&[&submit[..], &["--key", net.customer()]].concat()).success();
    cramped.wait_for("declined, it may take");

    // Nothing more can be written: what rests on the disk waits, and the daemon lives.
    let ballast = cramped.fill();
    File::create(cramped.dir.join("paused")).unwrap();
    cramped.wait_for("the disk is full: the partner pauses");
    assert!(cramped.child.try_wait().unwrap().is_none(), "it runs");
    std::fs::remove_file(ballast).unwrap();
    cramped.wait_for("the disk has room again");
    let is_paused = |net: &Net| {
        let offers = gridproof(&["partner", "offers", "--rpc", net.rpc(0)]).success();
        let mut partners = offers["partners"].as_array().unwrap().iter();
        partners.any(|partner| partner["name"] == name && partner["places"] == json!(0))
    };
    net.wait("the pause on the chain", 60, is_paused);
    signal(cramped.child.id(), Signal::TERM);
    assert!(
        cramped.child.wait().unwrap().success(),
        "it stops as always"
    );
}
