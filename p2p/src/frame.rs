//! Frames on a stream: a length of four little-endian bytes, then that many bytes.
//!
//! A length above the limit ends the stream before anything is allocated, and the buffer grows with the bytes that
//! really arrive, so that announcing much costs the announcer as much. `LengthDelimitedCodec` would reserve a frame's
//! whole length when it is announced; hence a decoder of our own.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, StreamExt as _};
use tokio_util::codec::{Decoder, FramedRead};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

/// Length of a frame's head, in bytes.
const HEAD_BYTES: usize = 4;

/// Up to this length a frame is copied behind its head, so that both leave in one piece.
const JOIN_BYTES: usize = 16 << 10;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The length announced is above the limit.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// Length announced, in bytes.
        found: u32,
        /// Maximum length, in bytes.
        limit: usize,
    },
    /// The stream ended or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Cuts frames of at most `limit` bytes from the bytes that arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameDecoder {
    limit: usize,
}

impl Decoder for FrameDecoder {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, arrived: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = arrived.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let found = u32::from_le_bytes(*head);
        let length = usize::try_from(found).unwrap_or(usize::MAX);
        if length > self.limit {
            let limit = self.limit;
            return Err(FrameError::TooLong { found, limit });
        }
        if arrived.len() - HEAD_BYTES < length {
            return Ok(None);
        }
        arrived.advance(HEAD_BYTES);
        Ok(Some(arrived.split_to(length).freeze()))
    }
}

/// The frames of a stream.
pub(crate) struct FrameReader<R>(FramedRead<Compat<R>, FrameDecoder>);

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames of at most `limit` bytes.
    pub(crate) fn new(stream: R, limit: usize) -> Self {
        Self(FramedRead::new(stream.compat(), FrameDecoder { limit }))
    }

    /// The next frame; the end of the stream is an error.
    pub(crate) async fn read(&mut self) -> Result<Bytes, FrameError> {
        let end = || Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        self.0.next().await.unwrap_or_else(end)
    }

    /// The stream, without the bytes that were read ahead.
    pub(crate) fn into_inner(self) -> R {
        self.0.into_inner().into_inner()
    }
}

/// Writes one frame, whose length its sender checked, without flushing. Not through an encoder: that would copy every
/// frame into a buffer of each peer, while all peers' queues share one.
pub(crate) async fn write_frame<W: AsyncWrite + Unpin>(
    writer: &mut W,
    frame: &[u8],
) -> io::Result<()> {
    let length =
        u32::try_from(frame.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    if frame.len() <= JOIN_BYTES {
        let mut joined = Vec::with_capacity(4 + frame.len());
        joined.extend_from_slice(&length.to_le_bytes());
        joined.extend_from_slice(frame);
        return writer.write_all(&joined).await;
    }
    writer.write_all(&length.to_le_bytes()).await?;
    writer.write_all(frame).await
}

#[cfg(test)]
mod tests {
    use types::testing::fuzz::{AnswerMark, fuzz};

    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn written(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            block_on(write_frame(&mut stream, frame)).unwrap();
        }
        stream
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let lengths = [
            0,
            1,
            5_000,
            JOIN_BYTES,
            JOIN_BYTES + 1,
            3 * JOIN_BYTES,
            0,
            2,
        ];
        let frames = lengths.map(|length| vec![7; length]);
        let mut reader = FrameReader::new(Cursor::new(written(&frames)), 3 * JOIN_BYTES);
        for frame in frames {
            assert_eq!(block_on(reader.read()).unwrap(), frame);
        }
        let end = block_on(reader.read());
        assert!(
            matches!(end, Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof)
        );
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_the_bytes() {
        let announced = 101u32.to_le_bytes();
        let error = block_on(FrameReader::new(Cursor::new(announced), 100).read()).unwrap_err();
        assert!(matches!(
            error,
            FrameError::TooLong {
                found: 101,
                limit: 100
            }
        ));
    }

    #[test]
    fn announcing_much_allocates_nothing() {
        let mut arrived = BytesMut::from(&(1_000_000u32.to_le_bytes())[..]);
        let before = arrived.capacity();
        let mut decoder = FrameDecoder { limit: 1 << 20 };
        assert!(decoder.decode(&mut arrived).unwrap().is_none());
        assert_eq!(arrived.capacity(), before);
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let stream = written(&[vec![1; 10]]);
        for length in 0..stream.len() {
            let mut reader = FrameReader::new(Cursor::new(&stream[..length]), 100);
            assert!(block_on(reader.read()).is_err());
        }
    }

    #[test]
    fn fuzz_frames() {
        let mut seed = Vec::new();
        for frame in [&b"one"[..], b"", &[7; 200]] {
            seed.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
            seed.extend(frame);
        }
        fuzz("frames", vec![seed], |input| {
            let mut arrived = BytesMut::new();
            let mut decoder = FrameDecoder { limit: 256 };
            let mut taken = 0;
            // As they come from a socket: a few bytes at a time.
            for part in input.chunks(7) {
                arrived.extend_from_slice(part);
                loop {
                    match decoder.decode(&mut arrived) {
                        Ok(Some(frame)) => taken += HEAD_BYTES + frame.len(),
                        Ok(None) => break,
                        Err(error) => return AnswerMark::of(&Err::<(), _>(error)),
                    }
                }
            }
            assert_eq!(taken + arrived.len(), input.len(), "no byte is lost");
            AnswerMark::of(&Err::<(), _>(format!("{} left", arrived.len())))
        });
    }
}
