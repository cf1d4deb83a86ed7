//! Frames on a pipe: a length of eight bytes, little-endian, then that many bytes. Both ends block: the child runs one
//! task at a time, and the parent has a thread for each child, so that neither needs a runtime.

use std::io::{self, Read, Write};

/// Writes one frame: its length as 8 bytes, little-endian, then the bytes.
pub(super) fn write(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(bytes)?;
    writer.flush()
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PipeError {
    /// The length announced is above the bound.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// Length announced, in bytes.
        found: u64,
        /// Maximum length, in bytes.
        limit: u64,
    },
    /// The pipe to the other process broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one frame of at most `limit` bytes; `None` where the pipe ends before it or within it. Memory grows as bytes
/// arrive.
pub(super) fn read(reader: &mut impl Read, limit: u64) -> Result<Option<Vec<u8>>, PipeError> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let found = u64::from_le_bytes(length);
    if found > limit {
        return Err(PipeError::TooLong { found, limit });
    }
    let mut bytes = Vec::new();
    reader.take(found).read_to_end(&mut bytes)?;
    let is_whole = u64::try_from(bytes.len()) == Ok(found);
    Ok(is_whole.then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_written() {
        let mut pipe = Vec::new();
        write(&mut pipe, b"one").unwrap();
        write(&mut pipe, b"").unwrap();
        let mut reader = pipe.as_slice();
        assert_eq!(read(&mut reader, 3).unwrap().unwrap(), b"one");
        assert_eq!(read(&mut reader, 3).unwrap().unwrap(), b"");
        assert!(read(&mut reader, 3).unwrap().is_none());
    }

    #[test]
    fn a_frame_above_its_bound_is_refused_and_a_cut_one_is_none() {
        let mut pipe = Vec::new();
        write(&mut pipe, &[7; 100]).unwrap();
        assert!(read(&mut pipe.as_slice(), 99).is_err());
        assert!(read(&mut u64::MAX.to_le_bytes().as_slice(), 1 << 20).is_err());
        for cut in 0..pipe.len() {
            assert_eq!(read(&mut &pipe[..cut], 100).unwrap(), None);
        }
    }
}
