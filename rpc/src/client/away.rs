//! Which servers do not answer: one that goes away is told of once, and once more when it answers again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ClientError;

/// News of one of several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerNews<'a> {
    /// It does not answer; others are asked from now on.
    Away(&'a ClientError),
    /// It answers again.
    Back {
        /// Its URL.
        url: &'a str,
    },
}

/// Hears the news.
type Listener = dyn Fn(ServerNews<'_>) + Send + Sync;

/// What is remembered of the servers, in the order of their URLs.
#[derive(Clone, Default)]
pub(super) struct ServersAway {
    away: Arc<[AtomicBool]>,
    listener: Option<Arc<Listener>>,
}

impl fmt::Debug for ServersAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.away.iter()).finish()
    }
}

impl ServersAway {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            away: (0..servers).map(|_| AtomicBool::new(false)).collect(),
            listener: None,
        }
    }

    pub(super) fn listen(&mut self, listener: impl Fn(ServerNews<'_>) + Send + Sync + 'static) {
        self.listener = Some(Arc::new(listener));
    }

    /// The servers that were away when they were asked last.
    pub(super) fn away(&self) -> Vec<usize> {
        let away = self.away.iter().enumerate();
        away.filter(|(_, away)| away.load(Ordering::Relaxed))
            .map(|(server, _)| server)
            .collect()
    }

    /// What asking a server gave. Of a single one nothing is told: whoever asked learns it anyway.
    pub(super) fn asked<T>(&self, server: usize, url: &str, result: &Result<T, ClientError>) {
        let error = result.as_ref().err().filter(|error| error.is_silence());
        let Some(away) = self.away.get(server) else {
            return;
        };
        let was_away = away.swap(error.is_some(), Ordering::Relaxed);
        let Some(listener) = self.listener.as_ref().filter(|_| self.away.len() > 1) else {
            return;
        };
        match (was_away, error) {
            (false, Some(error)) => listener(ServerNews::Away(error)),
            (true, None) => listener(ServerNews::Back { url }),
            _ => {}
        }
    }
}
