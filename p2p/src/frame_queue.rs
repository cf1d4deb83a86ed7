//! A bounded queue of frames for one peer and channel. When it is full the oldest frames make room, because in
//! consensus the newest say most.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// The queue. Its frames share their bytes with the queues of the other peers that they are for.
#[derive(Debug)]
pub(crate) struct FrameQueue {
    max_frames: usize,
    max_bytes: usize,
    queue: Mutex<WaitingFrames>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct WaitingFrames {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl FrameQueue {
    pub(crate) fn new(max_frames: usize, max_bytes: usize) -> Self {
        Self {
            max_frames,
            max_bytes,
            queue: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Adds a frame; returns the number of old frames dropped for it.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let mut dropped = 0;
        let mut queue = self.lock();
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        while queue.frames.len() > 1
            && (queue.frames.len() > self.max_frames || queue.bytes > self.max_bytes)
        {
            let oldest = queue.frames.pop_front().expect("more than one");
            queue.bytes -= oldest.len();
            dropped += 1;
        }
        drop(queue);
        self.filled.notify_one();
        dropped
    }

    /// The oldest frame, once there is one. For one reader at a time; dropping the future loses nothing.
    pub(crate) async fn pop(&self) -> Bytes {
        loop {
            if let Some(frame) = self.try_pop() {
                return frame;
            }
            self.filled.notified().await;
        }
    }

    /// The oldest frame, if there is one.
    pub(crate) fn try_pop(&self) -> Option<Bytes> {
        let mut queue = self.lock();
        let frame = queue.frames.pop_front()?;
        queue.bytes -= frame.len();
        Some(frame)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WaitingFrames> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(byte: u8, length: usize) -> Bytes {
        vec![byte; length].into()
    }

    #[tokio::test]
    async fn keeps_order_and_drops_the_oldest() {
        let frames = FrameQueue::new(3, 100);
        assert_eq!((1..=5).map(|n| frames.push(frame(n, 1))).sum::<u64>(), 2);
        for n in 3..=5 {
            assert_eq!(frames.pop().await[0], n);
        }
        assert!(frames.try_pop().is_none());
    }

    #[test]
    fn bytes_are_bounded_but_one_frame_always_fits() {
        let frames = FrameQueue::new(10, 100);
        assert_eq!(frames.push(frame(1, 60)), 0);
        assert_eq!(frames.push(frame(2, 40)), 0);
        assert_eq!(frames.push(frame(3, 1)), 1);
        assert_eq!(frames.push(frame(4, 500)), 2);
        assert_eq!(frames.try_pop().unwrap().len(), 500);
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes() {
        let frames = Arc::new(FrameQueue::new(3, 100));
        let reader = tokio::spawn({
            let frames = frames.clone();
            async move { frames.pop().await }
        });
        tokio::task::yield_now().await;
        frames.push(frame(7, 1));
        assert_eq!(reader.await.unwrap()[0], 7);
    }
}
