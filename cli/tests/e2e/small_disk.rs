//! Disks of a few MiB. A partner declines what does not fit, pauses where nothing can be written, and goes on by itself. A
//! validator stops, and goes on once it is started with room.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use testnet::devnet::process::{signal, wait_until};

use crate::harness::{Net, binary, gridproof, histogram, text};

/// Mounts a small disk over the folder and fills it with what the folder held.
const MOUNT: &str = "cp -a \"$1\" \"$2\" && mount -t tmpfs -o size=$3,mode=0700 tmpfs \"$1\" && cp -a \"$2\"/. \"$1\"";
/// Runs the partner there.
const PARTNER: &str = "exec \"$0\" partner start --dir \"$1\"";
/// Runs the validator there; once it has ended, when it is told to, and once more when the ballast is gone.
const VALIDATOR: &str = "\"$0\" node start --dir \"$1\"; echo \"ended with exit code $?\"; \
                         while [ ! -e \"$1/again\" ]; do sleep 0.1; done; \
                         \"$0\" node start --dir \"$1\"; echo \"ended again with exit code $?\"; \
                         while [ -e \"$1/ballast\" ]; do sleep 0.1; done; exec \"$0\" node start --dir \"$1\"";

/// A process in a mount namespace of its own.
struct CrampedProcess {
    child: Child,
    /// Its folder, seen from outside of the namespace.
    dir: PathBuf,
    log: PathBuf,
}

impl Drop for CrampedProcess {
    fn drop(&mut self) {
        // The shell, and what it started.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl CrampedProcess {
    fn start(dir: &Path, scratch: &Path, size: &str, script: &str) -> Self {
        let log = scratch.join("cramped.log");
        let output = File::create(&log).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!("{MOUNT} && {{ {script}; }}"))
            .args([binary(), dir, &scratch.join("before")])
            .arg(size)
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
    fn fill(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 1_024]).is_ok() {}
        path
    }
}

/// True if this user may mount in a namespace of its own; says what is skipped if not.
fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: this user may not mount a small file system (run the test as root)");
    }
    may
}

#[test]
fn a_partner_on_a_small_disk_declines_and_a_full_one_pauses_it() {
    if !may_mount() {
        return;
    }
    let mut net = Net::up(2);
    let name = "partner-0";
    let dir = net.devnet.root().join(name);
    net.signal(name, Signal::TERM);
    let process = net.devnet.process_mut(name).unwrap().clone();
    net.wait("the end of the daemon", 60, |_| !process.is_running());
    let mut cramped = CrampedProcess::start(&dir, net.scratch(), "4m", PARTNER);
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
    let ballast = cramped.fill("ballast");
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

#[test]
fn a_validator_on_a_full_disk_stops_and_goes_on_with_room() {
    if !may_mount() {
        return;
    }
    let mut net = Net::up(0);
    let name = "validator-1";
    let dir = net.devnet.root().join(name);
    let all = text(net.devnet.root()).to_owned();
    gridproof(&["devnet", "stop", name, "--dir", &all]).success();
    let height = |net: &Net, validator: usize| net.heights()[validator].unwrap_or_default();
    let mut cramped = CrampedProcess::start(&dir, net.scratch(), "64m", VALIDATOR);
    net.wait("its return", 60, |net| {
        height(net, 1) > 0 && height(net, 1) + 10 > height(net, 0)
    });
    let votes = |net: &Net| {
        let list = gridproof(&["node", "validators", "--rpc", net.rpc(0)]).success();
        let mut list = list["validators"].as_array().unwrap().iter();
        let own = list.find(|validator| validator["name"] == name).unwrap();
        own["last_vote"]["view"].as_u64().unwrap_or_default()
    };
    let before = votes(&net);
    net.wait("its votes", 60, |net| votes(net) > before);

    // It stops, and stops again when it is started without room.
    let ballast = cramped.fill("ballast");
    cramped.wait_for("ended with exit code 10");
    // Its end gave back a little.
    let more = cramped.fill("more");
    File::create(cramped.dir.join("again")).unwrap();
    cramped.wait_for("ended again with exit code 10");
    let log = std::fs::read_to_string(&cramped.log).unwrap();
    let hint = "make room on the disk";
    assert_eq!(log.matches(hint).count(), 2, "{log}");
    let before = height(&net, 0);
    net.wait("blocks without it", 60, |net| height(net, 0) > before + 5);

    for file in [more, ballast] {
        std::fs::remove_file(file).unwrap();
    }
    net.wait("its second return", 60, |net| {
        height(net, 1) > before && height(net, 1) + 10 > height(net, 0)
    });
    // A quorum needs its votes now, and gets them: nothing is missing of what it had voted, and nothing contradicts it.
    net.kill("validator-2");
    let before = height(&net, 0);
    net.wait("blocks that it voted for", 60, |net| {
        height(net, 0) > before + 5
    });
    for other in ["validator-0", "validator-3"] {
        let evidence = net.devnet.root().join(other).join("evidence");
        let pieces = std::fs::read_dir(evidence).map_or(0, Iterator::count);
        assert_eq!(
            pieces, 0,
            "{other} saw two votes that contradict each other"
        );
    }
    signal(cramped.child.id(), Signal::TERM);
    assert!(
        cramped.child.wait().unwrap().success(),
        "it stops as always"
    );
}
