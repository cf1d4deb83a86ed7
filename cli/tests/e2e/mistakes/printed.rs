//! What people read after the mistakes that are most likely: every word of it stands in `docs/mistakes.md`, which this
//! test writes anew with GRIDPROOF_BLESS=1.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Net, binary, gridproof, histogram, text};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mistakes.md");
const INTRODUCTION: &str = "# Mistakes, and what is printed

What people read on standard error after the mistakes that are most likely, with the exit code. [errors.md](errors.md) lists all codes. A
test makes each mistake and compares this page with what is printed; `GRIDPROOF_BLESS=1` writes it anew. `~` is the folder of the one who
makes the mistake; ids, addresses and ports differ from run to run and stand here as `ID` and `PORT`.
";

/// The place of all mistakes, and what was printed so far.
struct Page {
    net: Net,
    home: PathBuf,
    text: String,
}

impl Page {
    fn new() -> Self {
        let net = Net::up(2);
        let home = net.scratch().to_owned();
        let text = INTRODUCTION.to_owned();
        Self { net, home, text }
    }

    fn section(&mut self, title: &str) {
        write!(self.text, "\n## {title}\n").unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Makes a mistake, in which `~` is the folder, `RPC` a server, `NET` the devnet's folder and `KEY` the customer's key.
    fn mistake(&mut self, title: &str, command: &str) {
        let (rpc, net) = (
            self.net.rpc(0).to_owned(),
            self.net.devnet.root().to_owned(),
        );
        let key = self.net.customer().to_owned();
        // That for other validators, of the server.
        let port: u16 = rpc.rsplit(':').next().unwrap().parse().unwrap();
        let port = (port - 1).to_string();
        let mut run = Command::new(binary());
        let mut shown = String::from("gridproof");
        for word in command.split_whitespace() {
            write!(shown, " {word}").unwrap();
            let argument = word.replace('~', text(&self.home));
            let argument = argument.replace("NET", text(&net)).replace("KEY", &key);
            run.arg(argument.replace("RPC", &rpc).replace("PORT", &port));
        }
        let output = run
            .env("GRIDPROOF_JOBS", self.path("jobs.jsonl"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let printed = self.plain(&String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        assert_ne!(code, 0, "{shown}: {printed}");
        write!(
            self.text,
            "\n**{title}** (exit code {code})\n\n```text\n$ {shown}\n{}\n```\n",
            printed.trim_end()
        )
        .unwrap();
    }

    /// What was printed, without what differs from run to run.
    fn plain(&self, printed: &str) -> String {
        let printed = printed.replace(text(self.net.devnet.root()), "NET");
        let printed = printed.replace(text(&self.home), "~");
        // Neither the log nor progress, which depends on the time that things take.
        let told = |line: &&str| {
            !line.contains(" INFO ") && !line.contains(" WARN ") && !line.starts_with("hashing")
        };
        let lines = printed.lines().filter(told);
        // How a connection ends that makes no sense to the other side is for the system to say.
        let plain = lines.map(|line| match line.split_once(" broke off while answering") {
            Some((start, _)) => words(start) + " broke off while answering\n",
            None => words(line) + "\n",
        });
        plain.collect()
    }
}

/// A line with its ids and ports left out.
fn words(line: &str) -> String {
    let mut plain = String::new();
    let mut run = String::new();
    let flush = |run: &mut String, plain: &mut String| {
        let is_id = run.len() >= 16 && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_port = (plain.ends_with("127.0.0.1:") || plain.ends_with("port "))
            && !["9", "26601"].contains(&run.as_str())
            && run.parse::<u16>().is_ok();
        plain.push_str(match (is_id, is_port) {
            (true, _) => "ID",
            (_, true) => "PORT",
            _ => run,
        });
        run.clear();
    };
    for letter in line.chars() {
        if letter.is_ascii_alphanumeric() {
            run.push(letter);
        } else {
            flush(&mut run, &mut plain);
            plain.push(letter);
        }
    }
    flush(&mut run, &mut plain);
    plain
}

fn replace(file: &Path, from: &str, to: &str) {
    let content = fs::read_to_string(file).unwrap();
    assert!(content.contains(from), "{from:?} is in {}", file.display());
    fs::write(file, content.replace(from, to)).unwrap();
}

fn commands(page: &mut Page) {
    page.section("Commands");
    page.mistake("A word that is wrong", "job estimat ~/job.yaml");
    page.mistake("An argument that is missing", "wallet balance");
    page.mistake(
        "A log filter that is none",
        "--log gridproof=loud node status --rpc RPC",
    );
    page.mistake("A shell that does not exist", "completions tcsh");
}

fn servers(page: &mut Page) {
    page.section("Servers");
    page.mistake("Nobody listens", "node status --rpc http://127.0.0.1:9");
    page.mistake("No URL", "node status --rpc localhost");
    page.mistake(
        "The port for other validators in place of that for programs",
        "node status --rpc http://127.0.0.1:PORT",
    );
    page.mistake(
        "A job that nobody knows",
        "job status --rpc RPC 00ff00ff00ff00ff00ff",
    );
    page.mistake("A job id that is none", "job status --rpc RPC my-job");
}

fn money(page: &mut Page) {
    page.section("Money");
    let to = "00000000000000000000000000000000000000aa";
    page.mistake(
        "A key that is not there",
        "wallet balance --key ~/nobody.key --rpc RPC",
    );
    gridproof(&["wallet", "new", "--key", text(&page.path("open.key"))]).success();
    fs::set_permissions(page.path("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    page.mistake(
        "A key that others may read",
        "wallet balance --key ~/open.key --rpc RPC",
    );
    let node_key = page.net.devnet.root().join("validator-0/keys/node.key");
    fs::copy(node_key, page.path("node.key")).unwrap();
    page.mistake(
        "A key of another kind",
        "wallet balance --key ~/node.key --rpc RPC",
    );
    fs::write(page.path("garbage.key"), "not a key\n").unwrap();
    fs::set_permissions(page.path("garbage.key"), fs::Permissions::from_mode(0o600)).unwrap();
    page.mistake(
        "A file that is no key",
        "wallet balance --key ~/garbage.key --rpc RPC",
    );
    page.mistake(
        "An address that is cut",
        "wallet send --key KEY --to 00aa --amount 1 --rpc RPC",
    );
    for (title, amount) in [
        ("An amount that is none", "1,5"),
        ("More than there is", "99999999999"),
        ("Nothing", "0"),
    ] {
        let send = format!("wallet send --key KEY --to {to} --amount {amount} --rpc RPC");
        page.mistake(title, &send);
    }
}

fn jobs(page: &mut Page) {
    page.section("Jobs");
    let run = "job run ~/job/job.yaml --rpc RPC --key KEY --out ~/out";
    let spec = histogram(&page.path("job"), 2, 1);
    let good = fs::read_to_string(&spec).unwrap();
    page.mistake(
        "A spec that is not there",
        "job run ~/nowhere.yaml --rpc RPC --key KEY --out ~/out",
    );
    for (title, from, to) in [
        ("A field that is misspelt", "outputs:", "outptus:"),
        ("A number that is too large", "array: 2", "array: 2000000"),
        ("A text where a number belongs", "array: 2", "array: many"),
        ("YAML that is broken", "tasks:", "tasks: ["),
        ("An input that is not there", "data.txt", "missing.txt"),
        (
            "A module that is no module",
            "module: histogram.wasm",
            "module: data.txt",
        ),
        (
            "More verifiers than there are",
            "verifiers: 1,",
            "verifiers: 7,",
        ),
        (
            "An attribute that nobody has",
            "version:",
            "constraints: {attributes: {location: atlantis}}\nversion:",
        ),
        (
            "A price below all asks",
            "version:",
            "payment: {price: 0.000001}\nversion:",
        ),
        (
            "An engine that does not exist",
            "type: wasm",
            "type: docker",
        ),
    ] {
        fs::write(&spec, good.replace(from, to)).unwrap();
        page.mistake(title, run);
    }
    fs::write(&spec, &good).unwrap();
    page.mistake(
        "A limit that is below the cost",
        &format!("{run} --max-cost 0.000001"),
    );
    fs::write(page.path("other.bin"), b"not a genesis").unwrap();
    page.mistake(
        "A genesis that is none",
        &format!("{run} --genesis ~/other.bin"),
    );
    fs::create_dir_all(page.path("full")).unwrap();
    fs::write(page.path("full/notes.txt"), "mine").unwrap();
    page.mistake(
        "A folder for results that is not empty",
        "job run ~/job/job.yaml --rpc RPC --key KEY --out ~/full",
    );
    fs::write(page.path("receipt.json"), "{}").unwrap();
    page.mistake(
        "A receipt that is none",
        "job verify --receipt ~/receipt.json --genesis NET/genesis.bin",
    );
}

fn validators(page: &mut Page) {
    page.section("Validators and partners");
    page.mistake(
        "A directory that was never made",
        "node start --dir ~/nowhere",
    );
    page.mistake(
        "A validator that runs already",
        "node start --dir NET/validator-0",
    );
    page.mistake(
        "A second directory for a validator that exists",
        "node init --dir NET/validator-0 --genesis NET/genesis.bin",
    );
    page.mistake(
        "A genesis that does not name the keys",
        "node init --dir ~/stranger --genesis NET/genesis.bin",
    );
    let copy = page.path("copy");
    let source = page.net.devnet.root().join("validator-1");
    for folder in ["", "keys", "log"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
        fs::set_permissions(copy.join(folder), fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(source.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    page.mistake(
        "A copy of a validator that runs",
        "node start --dir ~/copy --set p2p.listen=[] --set rpc.listen=127.0.0.1:0",
    );
    let config = copy.join("node.toml");
    replace(&config, "[rpc]\n", "[rpc]\nlisten_on = \"127.0.0.1:1\"\n");
    page.mistake(
        "A key of node.toml that is misspelt",
        "node start --dir ~/copy",
    );
    replace(&config, "listen_on = \"127.0.0.1:1\"\n", "");
    page.mistake(
        "A value that does not fit",
        "node start --dir ~/copy --set mempool.transactions=many",
    );
    fs::remove_dir_all(copy.join("log")).unwrap();
    page.mistake("A vote log that is gone", "node start --dir ~/copy");
    let up = "devnet up --dir ~/another --validators 4 --partners 0 --detach --base-port PORT";
    page.mistake("A port that is taken", up);
    fs::write(page.path("archive.tar"), "no archive").unwrap();
    page.mistake(
        "A backup that is none",
        "node restore --from ~/archive.tar --dir ~/restored",
    );
    page.mistake(
        "A partner without endpoints",
        "partner init --dir ~/partner --genesis NET/genesis.bin",
    );
    page.mistake(
        "A partner with one endpoint that is no URL",
        "partner init --dir ~/partner --genesis NET/genesis.bin --endpoint localhost",
    );
}

#[test]
fn what_is_printed_after_a_mistake_is_what_the_page_says() {
    let mut page = Page::new();
    commands(&mut page);
    servers(&mut page);
    money(&mut page);
    jobs(&mut page);
    validators(&mut page);
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        fs::write(PAGE, &page.text).unwrap();
    }
    let expected = fs::read_to_string(PAGE).unwrap();
    for (line, (found, expected)) in page.text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of docs/mistakes.md", line + 1);
    }
    assert_eq!(page.text.lines().count(), expected.lines().count());
}
