//! The tasks on streams: writers and readers of frames, requests and their answers.
//!
//! Whoever accepts a stream of frames sends one byte back, and the writer waits for it: a stream that the other side
//! refuses costs no frame.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use types::hash::ValidatorId;

use crate::channel::{Channel, Protocol};
use crate::counters::SharedCounters;
use crate::events::{EventQueue, PeerEvent};
use crate::frame::{FrameError, FrameReader, write_frame};
use crate::frame_queue::FrameQueue;
use crate::shared::{OpenStream, SharedState};

/// Pause before a stream is opened again.
const REOPEN: Duration = Duration::from_millis(100);
/// Time for the other side to accept a stream.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two records of one peer, each of which costs two signature checks and may be passed on to everyone.
const RECORD_PAUSE: Duration = Duration::from_millis(5);
/// Says that a stream is accepted.
const ACCEPTED: [u8; 1] = [1];

/// Keeps a stream of frames open to a peer and writes what its queue gives. Ends only by being aborted, or with the
/// network.
pub(crate) async fn write_frames(
    to: PeerId,
    protocol: Protocol,
    queue: Arc<FrameQueue>,
    streams: mpsc::Sender<OpenStream>,
) {
    let mut retry = interval(REOPEN);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        retry.tick().await;
        let (reply, opened) = oneshot::channel();
        if streams
            .send(OpenStream {
                to,
                protocol,
                reply,
            })
            .await
            .is_err()
        {
            return;
        }
        match opened.await {
            Ok(Ok(stream)) => {
                if let Err(error) = pump(stream, &queue).await {
                    tracing::debug!(%to, ?protocol, %error, "a stream of frames ended");
                }
            }
            Ok(Err(error)) => tracing::debug!(%to, ?protocol, %error, "no stream"),
            Err(_) => {
                tracing::debug!(%to, ?protocol, "the connection ended before the stream was open");
            }
        }
    }
}

/// Writes frames until the stream breaks. Frames that were taken and not delivered by then are lost.
async fn pump(stream: Stream, queue: &FrameQueue) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let mut accepted = [0; 1];
    let answer = timeout(ACCEPT_TIMEOUT, reader.read_exact(&mut accepted)).await;
    answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut byte = [0; 1];
    let mut end = reader.read(&mut byte);
    loop {
        let next = std::pin::pin!(queue.pop());
        let frame = match select(next, end).await {
            Either::Left((frame, still)) => {
                end = still;
                frame
            }
            Either::Right((read, _)) => {
                read?;
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
        };
        write_frame(&mut writer, &frame).await?;
        while let Some(more) = queue.try_pop() {
            write_frame(&mut writer, &more).await?;
        }
        writer.flush().await?;
    }
}

/// Reads the frames of a validator on a channel until the stream breaks, a frame is too long, or the node is gone.
/// A node that is slow to take them slows the peer down.
pub(crate) async fn read_channel(
    mut stream: Stream,
    from: ValidatorId,
    channel: Channel,
    events: EventQueue,
    shared: Arc<SharedState>,
) {
    if accept(&mut stream).await.is_err() {
        return;
    }
    let mut frames = FrameReader::new(stream, channel.max_frame_bytes());
    loop {
        let bytes = match frames.read().await {
            Ok(bytes) => bytes,
            Err(error) => return note_end(&from.to_string(), &error, &shared.counters),
        };
        shared.traffic(channel).received(bytes.len());
        let pause = shared.charge(from, channel, bytes.len(), Instant::now());
        let event = PeerEvent::Frame {
            from,
            channel,
            bytes,
        };
        if events.send(from, event).await.is_err() {
            return;
        }
        if !pause.is_zero() {
            shared.counters.reads_paused.add(1);
            wait(pause).await;
        }
    }
}

/// Reads the records of a peer, at a pace.
pub(crate) async fn read_records(
    mut stream: Stream,
    from: PeerId,
    records: mpsc::Sender<(PeerId, Bytes)>,
    shared: Arc<SharedState>,
) {
    let mut pace = interval(RECORD_PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if accept(&mut stream).await.is_err() {
        return;
    }
    let mut frames = FrameReader::new(stream, Protocol::Records.max_frame_bytes());
    loop {
        pace.tick().await;
        match frames.read().await {
            Ok(bytes) => {
                if records.send((from, bytes)).await.is_err() {
                    return;
                }
            }
            Err(error) => return note_end(&from.to_base58(), &error, &shared.counters),
        }
    }
}

async fn accept(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(&ACCEPTED).await?;
    stream.flush().await
}

fn note_end(from: &str, error: &FrameError, counters: &SharedCounters) {
    if matches!(error, FrameError::TooLong { .. }) {
        counters.frames_oversize.add(1);
        tracing::warn!(from, %error, "a peer announced a frame that is too long");
    } else {
        tracing::debug!(from, %error, "a stream of frames ended");
    }
}

/// Sends a request on a fresh stream and reads the answer.
pub(crate) async fn ask(
    mut stream: Stream,
    request: Bytes,
    limit: usize,
) -> Result<Bytes, FrameError> {
    write_frame(&mut stream, &request).await?;
    stream.flush().await?;
    let mut frames = FrameReader::new(stream, limit);
    let answer = frames.read().await?;
    // The answer is whole; how the other side takes the end of the stream does not matter.
    let _ = frames.into_inner().close().await;
    Ok(answer)
}

/// Reads a request, has the node answer it, and sends the answer, all within `time`. Dropping the stream refuses.
pub(crate) async fn answer(
    stream: Stream,
    from: ValidatorId,
    events: EventQueue,
    time: Duration,
    shared: Arc<SharedState>,
    _permit: OwnedSemaphorePermit,
) {
    let limit = Protocol::Request.max_frame_bytes();
    let exchange = async {
        let mut frames = FrameReader::new(stream, limit);
        let bytes = frames.read().await?;
        shared.traffic(Channel::Blobs).received(bytes.len());
        let (reply, replied) = oneshot::channel();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        events
            .send(from, PeerEvent::Request { from, bytes, reply })
            .await
            .map_err(|_| refused())?;
        let answer = replied.await.map_err(|_| refused())?;
        if answer.len() > limit {
            tracing::error!(
                bytes = answer.len(),
                limit,
                "the answer to a request is too long"
            );
            return Err(refused().into());
        }
        // Answers are on the account of whoever asks, with the frames about blobs.
        let pause = shared.charge(from, Channel::Blobs, answer.len(), Instant::now());
        if !pause.is_zero() {
            shared.counters.reads_paused.add(1);
            wait(pause).await;
        }
        shared.traffic(Channel::Blobs).sent(answer.len());
        let mut stream = frames.into_inner();
        write_frame(&mut stream, &answer).await?;
        stream.close().await?;
        Ok(())
    };
    match timeout(time, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => note_end(&from.to_string(), &error, &shared.counters),
        Err(_) => tracing::debug!(%from, "a request took too long"),
    }
}

/// Waits until a validator is within its budget again.
#[expect(
    clippy::disallowed_methods,
    reason = "the time itself is what is waited for"
)]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}
