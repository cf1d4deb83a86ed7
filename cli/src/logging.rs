//! What is logged, where to, and how much of it. A daemon's filter can change while it runs.

mod throttle;

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use clap::{Args, ValueEnum};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::failure::{CommandFailure, ExitKind};
use crate::log_file::LogFile;
use throttle::Throttle;

/// How and where to log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How to log, on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "GRIDPROOF_LOG_FORMAT")]
    log_format: LogFormat,
    /// What to log, as in `info` or `warn,gridproof_node=debug`; for daemons in place of the key `log` of their configuration.
    #[arg(long, global = true, env = "GRIDPROOF_LOG")]
    log: Option<String>,
    /// Log into this file instead; a full one is put aside as FILE.1 to FILE.4, the oldest goes.
    #[arg(long, global = true, value_name = "FILE", env = "GRIDPROOF_LOG_FILE")]
    log_file: Option<PathBuf>,
    /// Size from which on the log file is full, in MiB.
    #[arg(
        long,
        global = true,
        value_name = "MIB",
        default_value_t = 32,
        env = "GRIDPROOF_LOG_FILE_MIB"
    )]
    log_file_mib: u64,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The log of this process.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    /// What the command line or a variable says; it stands above the configuration.
    given: Option<String>,
    /// True if the log goes into a file.
    pub in_file: bool,
}

impl Logs {
    /// Starts logging. A daemon may log into a file, and no line of it comes without end.
    pub fn start(arguments: &LogArgs, daemon: bool) -> Result<Self, CommandFailure> {
        let given = arguments.log.clone();
        let filter = filter(
            given
                .as_deref()
                .unwrap_or(if daemon { "info" } else { "warn" }),
        )?;
        let (filter, handle) = reload::Layer::new(filter);
        let throttle = daemon.then(Throttle::default);
        let logs = |in_file| Self {
            filter: handle,
            given,
            in_file,
        };
        let started = throttle.as_ref().map_or(Ok(()), Throttle::start);
        started.map_err(|error| cannot(format!("cannot start a thread for the log: {error}")))?;
        // Commands that end soon write no log file: its place may be meant for the daemons that they start.
        if let Some(path) = arguments.log_file.as_deref().filter(|_| daemon) {
            let bytes = arguments.log_file_mib.saturating_mul(1 << 20);
            let file = LogFile::open(path, bytes).map_err(|error| {
                let message = format!("cannot write the log file {}: {error}", path.display());
                cannot(message).hint("give a path that this user may write with --log-file")
            })?;
            let layer = lines(arguments.log_format, false, Mutex::new(file), throttle);
            tracing_subscriber::registry()
                .with(filter)
                .with(layer)
                .init();
            return Ok(logs(true));
        }
        let colours = io::IsTerminal::is_terminal(&io::stderr());
        let layer = lines(arguments.log_format, colours, io::stderr, throttle);
        tracing_subscriber::registry()
            .with(filter)
            .with(layer)
            .init();
        Ok(logs(false))
    }

    /// Logs what a configuration says, unless the command line or a variable says something else.
    pub fn follow(&self, wanted: &str) -> Result<(), CommandFailure> {
        let filter = filter(self.given.as_deref().unwrap_or(wanted))?;
        self.filter
            .reload(filter)
            .map_err(|error| cannot(format!("the log's filter stays: {error}")))
    }

    /// Like [`Logs::follow`] for a configuration that was read again: says what came of it.
    pub fn follow_again(&self, wanted: &str) {
        match (self.follow(wanted), &self.given) {
            (Err(failure), _) => tracing::error!("{failure}"),
            (Ok(()), Some(given)) => {
                tracing::info!(
                    "the configuration was read again; --log or GRIDPROOF_LOG keeps the log at {given:?}"
                );
            }
            (Ok(()), None) => {
                tracing::info!("the configuration was read again; logging {wanted:?}");
            }
        }
    }
}

fn cannot(message: String) -> CommandFailure {
    CommandFailure::new(ExitKind::Storage, "log_file", message)
}

type LineLayer<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<S, W>(
    format: LogFormat,
    colours: bool,
    writer: W,
    throttle: Option<Throttle>,
) -> LineLayer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: LineLayer<S> = match format {
        LogFormat::Text => layer.with_ansi(colours).boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    match throttle {
        Some(throttle) => layer.with_filter(throttle).boxed(),
        None => layer,
    }
}

/// What libraries say below warnings is about their own insides; whoever wants it names them.
const QUIET: &str = "libp2p=warn,yamux=warn,multistream_select=warn,hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,\
                     wasmtime=warn,cranelift=warn,rustls=warn,mio=warn,tower_http=warn";

/// The filter of a log: libraries are quiet unless they are named.
fn filter(wanted: &str) -> Result<EnvFilter, CommandFailure> {
    EnvFilter::try_new(format!("{QUIET},{wanted}")).map_err(|error| {
        let message = format!("{wanted:?} does not say what to log: {error}");
        CommandFailure::new(ExitKind::Usage, "log", message).hint(
            "give a level such as info, or levels of modules such as warn,gridproof_node=debug",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_leaves_libraries_quiet_and_nonsense_is_refused() {
        let quiet = filter("debug").unwrap().to_string();
        assert!(
            quiet.contains("libp2p=warn") && quiet.contains("debug"),
            "{quiet}"
        );
        let loud = filter("debug,libp2p=trace").unwrap().to_string();
        assert!(
            loud.contains("libp2p=trace") && !loud.contains("libp2p=warn"),
            "{loud}"
        );
        let refused = filter("gridproof=loud").unwrap_err();
        assert!(refused.message.contains("gridproof=loud"), "{refused}");
    }

    #[test]
    fn the_command_line_stands_above_the_configuration() {
        for (given, shown) in [(None, "trace"), (Some("error"), "error")] {
            let (layer, handle) = reload::Layer::new(filter("info").unwrap());
            let logs = Logs {
                filter: handle,
                given: given.map(str::to_owned),
                in_file: false,
            };
            logs.follow("trace").unwrap();
            let now = logs.filter.with_current(ToString::to_string).unwrap();
            assert!(now.split(',').any(|part| part == shown), "{now}");
            assert!(logs.follow("loud=x").is_err() != given.is_some());
            drop(layer);
        }
    }
}
