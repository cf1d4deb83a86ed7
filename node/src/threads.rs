//! The threads of a node: one for its loop and the connections to other validators, and those of HTTP, which step back.
//!
//! A frame passes from a connection to the loop and back within one thread: waking another one for each frame cost an eighth
//! of the time to finality and a fifth of the processor (docs/benchmarks.md). What takes long runs elsewhere: the vote log,
//! execution and commits on threads of their own, HTTP and what it reads on a runtime whose threads give way to all of
//! these, so that requests do not make the processor too busy to agree on blocks.

use std::panic::resume_unwind;
use std::thread::JoinHandle;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinError;

use crate::error::NodeError;

/// How much later the system lets a thread of HTTP run than one of consensus, in steps of `nice`: about a third of its share.
const HTTP_STEPS_BACK: i32 = 5;

/// No thread goes below this.
const LAST_NICE: i32 = 19;

/// A runtime whose threads give way to those of the loop and of execution. What still runs on it ends when this goes.
#[derive(Debug)]
pub struct HttpThreads(Option<Runtime>);

impl HttpThreads {
    /// Starts the threads, as many as the machine runs at once.
    pub fn start() -> Result<Self, NodeError> {
        let own = getpriority_process(None).unwrap_or_default();
        let behind = own.saturating_add(HTTP_STEPS_BACK).min(LAST_NICE);
        let step_back = move || {
            // Of this thread alone, on Linux. Where the system refuses, all threads are equal.
            if let Err(error) = setpriority_process(None, behind) {
                tracing::debug!(%error, "threads of HTTP do not step back");
            }
        };
        let runtime = Builder::new_multi_thread()
            .thread_name("http")
            .on_thread_start(step_back)
            .enable_all()
            .build();
        Ok(Self(Some(runtime.map_err(NodeError::HttpThreads)?)))
    }

    /// Has the threads run something to its end. A panic in it goes on here.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let runtime = self.0.as_ref().expect("the runtime is there until the end");
        joined(runtime.spawn(work).await)
    }
}

impl Drop for HttpThreads {
    fn drop(&mut self) {
        // A runtime must not wait for its threads where tasks run.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a task gave. A panic in it goes on here.
fn joined<T>(done: Result<T, JoinError>) -> T {
    match done {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// A runtime of one thread.
#[derive(Debug)]
pub struct LoopThread {
    runtime: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl LoopThread {
    /// Starts the thread; it waits for work until [`LoopThread::finish`].
    pub fn start() -> Result<Self, NodeError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(NodeError::LoopThread)?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let thread = std::thread::Builder::new()
            .name("loop".to_owned())
            .spawn(move || {
                // Dropping the other end stops it, too.
                let _ = runtime.block_on(stopped);
                // A thread that reads a blob may still work: nobody waits for it.
                runtime.shutdown_background();
            })
            .map_err(NodeError::LoopThread)?;
        Ok(Self {
            runtime: handle,
            stop,
            thread,
        })
    }

    /// Has the thread run something to its end. A panic in it goes on here.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        joined(self.runtime.spawn(work).await)
    }

    /// Ends the thread with everything that still runs on it.
    pub fn finish(self) {
        drop(self.stop);
        // What panicked there was told by whoever waited for it.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;

    #[tokio::test]
    async fn everything_runs_on_one_thread_that_ends() {
        let thread = LoopThread::start().unwrap();
        let outer = current().id();
        let first = thread.run(async { current().id() }).await;
        let spawned = async { tokio::spawn(async { current().id() }).await.unwrap() };
        assert_eq!(thread.run(spawned).await, first);
        assert_ne!(first, outer);
        let (held, dropped) = oneshot::channel::<()>();
        let idle = async move {
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        };
        thread.run(idle).await;
        thread.finish();
        assert!(dropped.await.is_err(), "what still ran is gone");
    }

    #[tokio::test]
    async fn threads_of_http_give_way() {
        let nice = || getpriority_process(None).unwrap();
        let (http, own) = (HttpThreads::start().unwrap(), nice());
        let behind = own.saturating_add(HTTP_STEPS_BACK).min(LAST_NICE);
        assert_eq!(http.run(async move { nice() }).await, behind);
        let reading = async move { tokio::task::spawn_blocking(nice).await.unwrap() };
        assert_eq!(http.run(reading).await, behind);
        assert_eq!(nice(), own, "nobody else does");
    }

    #[tokio::test]
    #[should_panic(expected = "a bug in the loop")]
    async fn a_panic_in_the_loop_goes_on() {
        let thread = LoopThread::start().unwrap();
        thread.run(async { panic!("a bug in the loop") }).await;
    }
}
