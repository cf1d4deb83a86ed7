//! The end of a server: a flag that its owner sets, and how long it then waits.

use std::time::Duration;

use tokio::sync::watch;

/// How long requests in progress may take to end when the server stops.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Ends when the flag is set or its owner is gone.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
