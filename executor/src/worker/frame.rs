//! Frames on a pipe: a length of eight bytes, little-endian, then that many bytes.

use std::io::{self, Read, Write};

/// Writes one frame.
pub(super) fn write(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(bytes)?;
    writer.flush()
}

/// Reads one frame of at most `most` bytes; nothing where the pipe ends before it. Memory grows as bytes arrive.
pub(super) fn read(reader: &mut impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u64::from_le_bytes(length);
    if length > most {
        let text = format!("a frame of {length} bytes where at most {most} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()) == Ok(length) {
        Ok(Some(bytes))
    } else {
        Ok(None)
    }
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
        assert_eq!(read(&mut reader, 3).unwrap(), None);
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
