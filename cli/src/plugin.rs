//! The binary as a plugin of AvalancheGo: decided before anything else, by the variable that only AvalancheGo sets, and
//! by the absence of arguments.

use std::process::ExitCode;

use avalanche::PluginError;
use avalanche::plugin::{self, ENGINE_ADDRESS};

/// Where the host's runtime service listens, if this process is a plugin.
pub fn engine() -> Option<String> {
    let has_arguments = std::env::args_os().nth(1).is_some();
    let engine = std::env::var(ENGINE_ADDRESS).ok()?;
    (!has_arguments).then_some(engine)
}

/// Runs the plugin until the host ends it.
pub fn main(engine: &str) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    match run(engine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the plugin ends");
            ExitCode::FAILURE
        }
    }
}

fn run(engine: &str) -> Result<(), PluginError> {
    let protocol = plugin::protocol_of(&std::env::current_exe()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(plugin::run(engine, protocol));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}
