//! An HTTP proxy in front of an RPC endpoint that withholds some of a partner's transactions: it answers them with a
//! refusal and passes everything else.
//!
//! It serves one request per connection, which is all that the tests need of HTTP.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use types::codec::decode;
use types::hash::JobId;
use types::limits::MAX_TRANSACTION_BYTES;
use types::number::Attempt;
use types::transaction::{Action, JobStep, SignedTransaction};

use crate::states::ForgedLists;

/// Maximum length of a request's head, in bytes.
const MAX_HEAD_BYTES: u64 = 64 << 10;
/// Maximum length of a request's body, in bytes: more than a chunk of a blob with its proof.
const MAX_BODY_BYTES: u64 = 4 << 20;

/// What a proxy withholds.
#[derive(Debug, Clone)]
pub enum Withheld {
    /// The commitments that it makes as verifier.
    VerifierCommitments,
    /// Its openings, as primary and as verifier.
    Openings,
    /// The commitments that it makes as primary.
    PrimaryCommitments,
    /// The openings that it makes as verifier.
    VerifierOpenings,
    /// That it takes the jobs that it is drawn for as primary.
    Acknowledgements,
    /// That sortition selected it.
    Announcements,
    /// The lists of a chain's states that it hands on, until forged ones take their place.
    TrueStates(Arc<ForgedLists>),
}

/// Decides which transactions of the partner behind it a proxy withholds.
#[derive(Debug)]
struct Filter {
    withheld: Withheld,
    /// The attempts that the partner acknowledged as primary: its commitments to them are not a verifier's.
    primary_of: Mutex<BTreeSet<(JobId, Attempt)>>,
}

impl Filter {
    fn holds(&self, action: &Action) -> bool {
        let Action::Job(action) = action else {
            return false;
        };
        let attempt = (action.job, action.attempt);
        let mut primary_of = self
            .primary_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (&action.step, &self.withheld) {
            (JobStep::Acknowledge, withheld) if !matches!(withheld, Withheld::Acknowledgements) => {
                primary_of.insert(attempt);
                false
            }
            (JobStep::Commit { .. }, Withheld::VerifierCommitments) => {
                !primary_of.contains(&attempt)
            }
            (JobStep::Commit { .. }, Withheld::PrimaryCommitments) => primary_of.contains(&attempt),
            (
                JobStep::Reveal { .. } | JobStep::Agree { .. } | JobStep::Differ { .. },
                Withheld::Openings,
            )
            | (JobStep::Agree { .. } | JobStep::Differ { .. }, Withheld::VerifierOpenings)
            | (JobStep::Acknowledge, Withheld::Acknowledgements)
            | (JobStep::Announce { .. }, Withheld::Announcements) => true,
            (JobStep::HandOn { states }, Withheld::TrueStates(lists)) => lists.holds(*states),
            _ => false,
        }
    }
}

/// Starts a proxy in front of the endpoint of a URL, on a thread; gives the proxy's URL.
pub fn start(endpoint: &str, withheld: Withheld) -> Result<String> {
    let address = endpoint
        .strip_prefix("http://")
        .context("an endpoint of a devnet")?
        .to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let filter = Arc::new(Filter {
        withheld,
        primary_of: Mutex::default(),
    });
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (address, filter) = (address.clone(), Arc::clone(&filter));
            std::thread::spawn(move || {
                // Whatever goes wrong, the partner sees a broken connection and asks again.
                if let Err(error) = serve(&client, &address, &filter) {
                    tracing::debug!(%error, "a request was not passed on");
                }
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    Ok(url)
}

fn serve(mut client: &TcpStream, address: &str, filter: &Filter) -> io::Result<()> {
    let (head, body) = read_request(client)?;
    if head.starts_with("POST /v1/transactions ")
        && let Ok(signed) = decode::<SignedTransaction>(&body, MAX_TRANSACTION_BYTES)
        && filter.holds(&signed.transaction().action)
    {
        tracing::warn!(id = %signed.id(), "withheld");
        let refusal = "HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal.as_bytes());
    }
    let mut endpoint = TcpStream::connect(address)?;
    endpoint.write_all(head.as_bytes())?;
    endpoint.write_all(&body)?;
    io::copy(&mut endpoint, &mut client)?;
    Ok(())
}

/// Reads a request: its head, changed to ask for one answer and then the end, and its body.
fn read_request(client: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        (&mut reader).take(MAX_HEAD_BYTES).read_line(&mut line)?;
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match name.trim() {
            "" => break,
            "connection" => continue,
            "content-length" => {
                let value = line.split(':').nth(1).unwrap_or_default().trim();
                length = value.parse::<u64>().map_err(io::Error::other)?;
            }
            _ => {}
        }
        head.push_str(&line);
    }
    if length > MAX_BODY_BYTES {
        return Err(io::Error::other(format!("a body of {length} bytes")));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    head.push_str("connection: close\r\n\r\n");
    Ok((head, body))
}
