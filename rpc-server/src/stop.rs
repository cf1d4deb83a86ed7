//! The end of a server: a flag that its owner sets.

use tokio::sync::watch;

/// Ends when the flag is set or its owner is gone.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
