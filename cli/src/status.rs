//! `gridproof status`: where the servers of a network stand, one a line, and what the network does.

use std::time::Duration;

use clap::Args;
use rpc::model::Status;
use rpc::{Client, ClientError};
use serde_json::{Value, json};
use types::words::counted;

use crate::failure::{CommandFailure, ExitKind};
use crate::node::validators::aligned;
use crate::submit::{RpcArgs, failure};
use crate::ui::{Ui, now_ms};

/// How long one server has for its answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gridproof status
  gridproof status --rpc http://127.0.0.1:26601,http://127.0.0.1:26603 --json

Every server that is given is asked. The exit code is 4 if one does not answer, 5 if one is not ready or on another chain, 0 else.")]
pub struct StatusArgs {
    #[command(flatten)]
    rpc: RpcArgs,
}

/// One server's answer.
struct AskedServer {
    url: String,
    answer: Result<Status, ClientError>,
    /// Why it takes no work, as it says.
    unready: Option<String>,
}

impl AskedServer {
    fn object(&self) -> Value {
        match &self.answer {
            Ok(status) => {
                json!({ "server": self.url, "answers": true, "state": self.state(status), "unready": self.unready, "status": status })
            }
            Err(error) => {
                json!({ "server": self.url, "answers": false, "error": error.to_string() })
            }
        }
    }

    /// A server's state in a word or two.
    fn state(&self, status: &Status) -> &'static str {
        let calm = status.alarms.is_empty();
        match (&status.stalled, status.catching_up, calm, &self.unready) {
            (Some(_), ..) => "stalled",
            (None, true, ..) => "catching up",
            (None, false, false, _) => "alarm",
            (None, false, true, Some(_)) => "not ready",
            (None, false, true, None) => "ready",
        }
    }

    fn row(&self, now_ms: u64) -> [String; 7] {
        let none = || "-".to_owned();
        let Ok(status) = &self.answer else {
            return [
                self.url.clone(),
                "no answer".to_owned(),
                none(),
                none(),
                none(),
                none(),
                none(),
            ];
        };
        let age = now_ms.saturating_sub(status.block_time.0);
        let others = status.committee_size.saturating_sub(1);
        [
            self.url.clone(),
            self.state(status).to_owned(),
            status.height.to_string(),
            format!("{}.{} s ago", age / 1_000, age % 1_000 / 100),
            format!("{} of {others}", status.peers),
            status.mempool_transactions.to_string(),
            status.version.clone(),
        ]
    }
}

/// Asks every server, and shows what they say.
pub async fn run(arguments: StatusArgs, ui: Ui) -> Result<(), CommandFailure> {
    let mut asked = Vec::new();
    for url in arguments.rpc.urls() {
        let client = Client::with_timeout(url, ANSWER_TIME).map_err(failure)?;
        let answer = client.status().await;
        let unready = match answer {
            Ok(_) => client.ready().await.err().map(|error| error.to_string()),
            Err(_) => None,
        };
        let url = url.clone();
        asked.push((
            client,
            AskedServer {
                url,
                answer,
                unready,
            },
        ));
    }
    let first = asked.iter().find(|(_, server)| server.answer.is_ok());
    let network = match first {
        Some((client, _)) => Some(activity(client).await.map_err(failure)?),
        None => None,
    };
    let servers: Vec<_> = asked.into_iter().map(|(_, server)| server).collect();
    let lines = lines(&servers, network.as_ref(), now_ms());
    let object = json!({
        "network": network, "servers": servers.iter().map(AskedServer::object).collect::<Vec<_>>(),
    });
    match trouble(&servers) {
        None => {
            ui.result(&object, &lines);
            Ok(())
        }
        Some(failure) => {
            if !ui.json {
                ui.result(&Value::Null, &lines);
            }
            Err(failure.with_all(object))
        }
    }
}

/// What the network does, as one server says.
async fn activity(client: &Client) -> Result<Value, ClientError> {
    let (partners, jobs) = (client.all_partners().await?, client.jobs(true).await?);
    let places: u32 = partners
        .partners
        .iter()
        .map(|view| u32::from(view.profile.places))
        .sum();
    let running: u32 = partners
        .partners
        .iter()
        .map(|view| u32::from(view.running))
        .sum();
    Ok(json!({
        "partners": partners.partners.len(), "places": places, "running": running, "live_jobs": jobs.jobs.len(),
    }))
}

fn lines(servers: &[AskedServer], network: Option<&Value>, now_ms: u64) -> String {
    let head = [
        "server",
        "state",
        "height",
        "last block",
        "peers",
        "mempool",
        "version",
    ];
    let rows = servers.iter().map(|server| server.row(now_ms));
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let mut lines = Vec::new();
    if let Some(status) = servers
        .iter()
        .find_map(|server| server.answer.as_ref().ok())
    {
        let validators = counted(status.committee_size, "validator");
        lines.push(format!(
            "network {}, chain {}, {validators}",
            status.network, status.chain_id
        ));
    }
    if let Some(network) = network {
        let number = |name: &str| network[name].as_u64().unwrap_or_default();
        lines.push(format!(
            "{} with {}, {} taken; {} live",
            counted(number("partners"), "partner"),
            counted(number("places"), "place"),
            number("running"),
            counted(number("live_jobs"), "job"),
        ));
    }
    lines.push(aligned(&rows));
    for server in servers {
        match &server.answer {
            Err(error) => lines.push(format!("{error}")),
            Ok(status) => {
                let url = &server.url;
                lines.extend(
                    status
                        .stalled
                        .iter()
                        .map(|reason| format!("{url}: {reason}")),
                );
                lines.extend(
                    status
                        .alarms
                        .iter()
                        .map(|alarm| format!("{url}: ALARM {alarm}")),
                );
                if server.state(status) == "not ready" {
                    lines.extend(server.unready.clone());
                }
            }
        }
    }
    lines.join("\n")
}

/// The failure of a network of which something is not as it should be.
fn trouble(servers: &[AskedServer]) -> Option<CommandFailure> {
    if let Some(server) = servers.iter().find(|server| server.answer.is_err()) {
        let message = format!("{} does not answer", server.url);
        return Some(
            CommandFailure::new(ExitKind::NoConnection, "no_connection", message)
                .hint("gridproof doctor on its machine says what is wrong"),
        );
    }
    let mut answers = servers
        .iter()
        .filter_map(|server| Some((server, server.answer.as_ref().ok()?)));
    let (asked, first) = answers.clone().next()?;
    if let Some((other, _)) = answers
        .clone()
        .find(|(_, status)| status.chain_id != first.chain_id)
    {
        let message = format!("{} and {} serve different chains", asked.url, other.url);
        let failure = CommandFailure::new(ExitKind::Refused, "other_chain", message);
        return Some(failure.hint("give servers of one network"));
    }
    let (server, status) = answers.find(|(server, status)| server.state(status) != "ready")?;
    let (url, state) = (&server.url, server.state(status));
    let message = match (state, &server.unready) {
        ("not ready", Some(why)) => why.clone(),
        _ => format!("{url} is not ready: {state}"),
    };
    let failure = CommandFailure::new(ExitKind::Refused, "not_ready", message);
    Some(failure.hint("gridproof node validators shows whom it hears"))
}
