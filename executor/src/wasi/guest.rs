//! The program's linear memory as host functions see it: every access is checked and gives `FAULT` when outside.

use super::abi::Errno;

/// Most entries of a scatter list.
pub(crate) const MAX_SPANS: u32 = 1_024;

/// Linear memory during one call.
pub(crate) struct Guest<'a>(pub(crate) &'a mut [u8]);

/// A pointer and a length that the program gave: one entry of a scatter list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) length: u32,
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Guest<'_> {
    /// `length` bytes at `at`.
    pub(crate) fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Errno> {
        self.0
            .get(index(at)..index(at).saturating_add(index(length)))
            .ok_or(Errno::FAULT)
    }

    /// `length` bytes at `at`, for writing.
    pub(crate) fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        self.0
            .get_mut(index(at)..index(at).saturating_add(index(length)))
            .ok_or(Errno::FAULT)
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let slice = self
            .0
            .get(index(at)..index(at).saturating_add(N))
            .ok_or(Errno::FAULT)?;
        Ok(slice.try_into().expect("the slice has N bytes"))
    }

    pub(crate) fn read_u8(&self, at: u32) -> Result<u8, Errno> {
        Ok(u8::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u16(&self, at: u32) -> Result<u16, Errno> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u32(&self, at: u32) -> Result<u32, Errno> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    pub(crate) fn read_u64(&self, at: u32) -> Result<u64, Errno> {
        Ok(u64::from_le_bytes(self.array(at)?))
    }

    /// Writes bytes at `at`.
    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let slice = self
            .0
            .get_mut(index(at)..index(at).saturating_add(bytes.len()))
            .ok_or(Errno::FAULT)?;
        slice.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    /// Text that the program gave; bytes that are not UTF-8 are `ILSEQ`.
    pub(crate) fn text(&self, at: u32, length: u32) -> Result<&str, Errno> {
        std::str::from_utf8(self.bytes(at, length)?).map_err(|_| Errno::ILSEQ)
    }

    /// A scatter list of `count` entries at `at`, each checked to be inside, and the sum of their lengths.
    pub(crate) fn spans(&self, at: u32, count: u32) -> Result<(Vec<Span>, u64), Errno> {
        if count > MAX_SPANS {
            return Err(Errno::INVAL);
        }
        let list = self.bytes(at, count.saturating_mul(8))?;
        let mut spans = Vec::with_capacity(list.len() / 8);
        let mut total = 0u64;
        for entry in list.chunks_exact(8) {
            let (start, length) = entry.split_at(4);
            let word =
                |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four of eight bytes"));
            let span = Span {
                at: word(start),
                length: word(length),
            };
            self.bytes(span.at, span.length)?;
            total = total.saturating_add(span.length.into());
            spans.push(span);
        }
        Ok((spans, total))
    }
}

/// `at + offset`, or `FAULT` when that passes the end of 32 bits.
pub(crate) fn offset(at: u32, offset: u32) -> Result<u32, Errno> {
    at.checked_add(offset).ok_or(Errno::FAULT)
}
