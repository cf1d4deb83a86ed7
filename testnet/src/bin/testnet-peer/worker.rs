//! A worker that runs tasks in the real worker, flips a byte of what each leaves, and names the result as if it were
//! right.
//!
//! It stands between the partner and the real worker and speaks the protocol of `executor::worker` on both sides:
//! frames of a length in 8 little-endian bytes and as many bytes. What the partner asks passes unchanged; of the
//! answers, those that hold a task's results are changed.

use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use borsh::BorshDeserialize;
use executor::TaskRun;
use executor::worker::ChildAnswer;
use types::hash::BlobId;
use types::number::TaskIndex;

/// What a worker flips a byte of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flipped {
    /// Standard output of every task.
    Stdout,
    /// The outputs of task [`WRONG_TASK`]; later tasks go on from what it really left.
    State,
}

/// The task whose outputs a worker flips.
const WRONG_TASK: TaskIndex = TaskIndex(1);

impl Flipped {
    /// The name under which this program runs as such a worker: a worker gets no environment, only its name.
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "flipping-worker",
            Self::State => "state-flipping-worker",
        }
    }
}

/// Maximum length of an answer, in bytes; the jobs of tests leave little.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Makes the program that a partner must start as its worker in order to flip bytes, in the partner's directory.
pub fn flipping(dir: &Path, what: Flipped) -> Result<PathBuf> {
    let link = dir.join(what.name());
    if !link.exists() {
        symlink(std::env::current_exe()?, &link)
            .with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(link)
}

/// What this process is to flip, if it was started as a worker that flips.
pub fn flipped() -> Option<Flipped> {
    let name = std::env::args_os().next().map(PathBuf::from)?;
    let all = [Flipped::Stdout, Flipped::State];
    all.into_iter().find(|what| name.ends_with(what.name()))
}

/// Runs the real worker and changes its answers.
pub fn flip(what: Flipped) -> Result<ExitCode> {
    let mut real = Command::new(std::env::current_exe()?)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut requests, mut answers) = real.stdin.take().zip(real.stdout.take()).context("pipes")?;
    // It ends with this process, which ends when the answers do.
    std::thread::spawn(move || io::copy(&mut io::stdin(), &mut requests));
    while let Some(bytes) = read_frame(&mut answers)? {
        let mut answer = ChildAnswer::try_from_slice(&bytes)?;
        match &mut answer {
            ChildAnswer::Task(_, run) if what == Flipped::Stdout => flip_a_byte(run),
            ChildAnswer::Task(WRONG_TASK, run) => flip_outputs(run),
            _ => {}
        }
        write_frame(&mut io::stdout(), &borsh::to_vec(&answer)?)?;
    }
    let status = real.wait()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Flips a bit of standard output, or writes a byte where there was none.
fn flip_a_byte(run: &mut TaskRun) {
    match run.stdout.first_mut() {
        Some(byte) => *byte ^= 1,
        None => run.stdout.push(1),
    }
    run.outcome.stdout = BlobId::of(&run.stdout);
}

/// Flips a bit of every output, or writes a byte where there was none.
fn flip_outputs(run: &mut TaskRun) {
    let named = run.outcome.outputs.as_mut_slice().iter_mut();
    for (bytes, named) in run.outputs.iter_mut().zip(named) {
        let bytes = bytes.get_or_insert_default();
        match bytes.first_mut() {
            Some(byte) => *byte ^= 1,
            None => bytes.push(1),
        }
        *named = Some(BlobId::of(bytes));
    }
}

fn read_frame(reader: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u64::from_le_bytes(length);
    ensure!(length <= MAX_ANSWER_BYTES, "an answer of {length} bytes");
    let mut bytes = vec![0; usize::try_from(length)?];
    reader.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn write_frame(writer: &mut impl Write, bytes: &[u8]) -> Result<()> {
    writer.write_all(&u64::try_from(bytes.len())?.to_le_bytes())?;
    writer.write_all(bytes)?;
    Ok(writer.flush()?)
}
