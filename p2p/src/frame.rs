//! Frames on a stream: a length of four little-endian bytes, then that many bytes.
//!
//! A length above the limit ends the stream before anything is allocated, and what is allocated grows with the
//! bytes that really arrive, so that announcing much costs the announcer as much.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What is allocated ahead of the bytes that arrive.
const STEP_BYTES: usize = 64 << 10;

/// Up to this length a frame is copied behind its length, so that both leave in one piece.
const JOIN_BYTES: usize = 16 << 10;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// Announced longer than admitted.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// Bytes announced.
        found: u32,
        /// Bytes admitted.
        limit: usize,
    },
    /// The stream ended or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one frame of at most `limit` bytes.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(
    reader: &mut R,
    limit: usize,
) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).await?;
    let found = u32::from_le_bytes(length);
    let length = usize::try_from(found).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLong { found, limit });
    }
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let start = bytes.len();
        bytes.resize(length.min(start + STEP_BYTES), 0);
        reader.read_exact(&mut bytes[start..]).await?;
    }
    Ok(bytes)
}

/// Writes one frame, whose length its sender checked, without flushing.
pub(crate) async fn write_frame<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &[u8],
) -> io::Result<()> {
    let length =
        u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    if bytes.len() <= JOIN_BYTES {
        let mut joined = Vec::with_capacity(4 + bytes.len());
        joined.extend_from_slice(&length.to_le_bytes());
        joined.extend_from_slice(bytes);
        return writer.write_all(&joined).await;
    }
    writer.write_all(&length.to_le_bytes()).await?;
    writer.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    #[test]
    fn frames_are_read_as_they_were_written() {
        for length in [
            0,
            1,
            JOIN_BYTES,
            JOIN_BYTES + 1,
            STEP_BYTES - 1,
            STEP_BYTES,
            STEP_BYTES + 1,
            3 * STEP_BYTES,
        ] {
            let (mut stream, frame) = (Vec::new(), vec![7; length]);
            block_on(write_frame(&mut stream, &frame)).unwrap();
            assert_eq!(
                block_on(read_frame(&mut Cursor::new(stream), 3 * STEP_BYTES)).unwrap(),
                frame
            );
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_the_bytes() {
        let announced = 101u32.to_le_bytes();
        let error = block_on(read_frame(&mut Cursor::new(announced), 100)).unwrap_err();
        assert!(matches!(
            error,
            FrameError::TooLong {
                found: 101,
                limit: 100
            }
        ));
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let mut stream = Vec::new();
        block_on(write_frame(&mut stream, &[1; 10])).unwrap();
        for length in 0..stream.len() {
            assert!(block_on(read_frame(&mut Cursor::new(&stream[..length]), 100)).is_err());
        }
    }
}
