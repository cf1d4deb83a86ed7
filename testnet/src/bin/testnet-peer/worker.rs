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

/// The name under which this program runs as the worker that flips: a worker gets no environment, only its name.
const FLIPPING: &str = "flipping-worker";

/// Maximum length of an answer, in bytes; the jobs of tests leave little.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Makes the program that a partner must start as its worker in order to flip bytes, in the partner's directory.
pub fn flipping(dir: &Path) -> Result<PathBuf> {
    let link = dir.join(FLIPPING);
    if !link.exists() {
        symlink(std::env::current_exe()?, &link)
            .with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(link)
}

/// True if this process was started as the worker that flips.
pub fn is_flipping() -> bool {
    let name = std::env::args_os().next().map(PathBuf::from);
    name.is_some_and(|name| name.ends_with(FLIPPING))
}

/// Runs the real worker and changes its answers.
pub fn flip() -> Result<ExitCode> {
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
        if let ChildAnswer::Task(_, run) = &mut answer {
            flip_a_byte(run);
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
