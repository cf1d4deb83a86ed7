"""Chunks of blobs: what `blake3` says of the whole is what the chunks' proofs lead to."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from gridproof import chunks
from gridproof.chunks import PAIR_BYTES, BlobFile, chunk_count, verify_chunk
from gridproof.errors import GridproofError, NotVerified
from gridproof.limits import BLOB_CHUNK_BYTES, MAX_BLOB_BYTES
from gridproof.spec import BlobId


def content(length: int) -> bytes:
    """Bytes of which no two pieces are equal."""
    words = b"".join(at.to_bytes(4, "little") for at in range(length // 4 + 1))
    return words[:length]


class Chunks(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "blob"

    def file(self, data: bytes) -> BlobFile:
        self.path.write_bytes(data)
        return BlobFile(self.path)

    def test_every_chunk_of_blobs_of_every_shape_comes_back(self) -> None:
        kib = 1_024
        edges = [0, 1, 64, 65, kib, kib + 1, 3 * kib + 5, BLOB_CHUNK_BYTES]
        several = [BLOB_CHUNK_BYTES * chunks + more for chunks in (1, 2, 3, 5, 8) for more in (1, kib, kib + 1)]
        for length in edges + several:
            data = content(length)
            file = self.file(data)
            self.assertEqual(file.id, BlobId.of(data))
            chunks = range(chunk_count(file.id))
            pieces = [verify_chunk(file.id, n, file.encode_chunk(n)) for n in chunks]
            self.assertEqual(b"".join(pieces), data, f"of {length} bytes")

    def test_the_length_of_an_encoding_follows_from_the_shape(self) -> None:
        file = self.file(content(4 * BLOB_CHUNK_BYTES + 1))
        lengths = [len(file.encode_chunk(n)) for n in range(5)]
        # The fifth chunk is carried up to the root, whose right half it is.
        self.assertEqual(lengths, [BLOB_CHUNK_BYTES + 3 * PAIR_BYTES] * 4 + [1 + PAIR_BYTES])

    def test_a_chunk_with_any_part_of_it_changed_is_refused(self) -> None:
        file = self.file(content(3 * BLOB_CHUNK_BYTES - 7))
        for n in range(3):
            encoded = bytearray(file.encode_chunk(n))
            for at in [*range(0, len(encoded) - BLOB_CHUNK_BYTES + 64, 16), len(encoded) - 1]:
                encoded[at] ^= 1
                with self.assertRaises(NotVerified, msg=f"chunk {n}, byte {at}") as caught:
                    verify_chunk(file.id, n, bytes(encoded))
                self.assertEqual(caught.exception.rule, "chunk_hash")
                encoded[at] ^= 1
            verify_chunk(file.id, n, bytes(encoded))

    def test_a_chunk_has_one_length_and_one_place(self) -> None:
        file = self.file(content(2 * BLOB_CHUNK_BYTES))
        encoded = file.encode_chunk(0)
        for other in (encoded[:-1], encoded + b"\0", b""):
            with self.assertRaises(NotVerified) as caught:
                verify_chunk(file.id, 0, other)
            self.assertEqual(caught.exception.rule, "chunk_length")
        with self.assertRaises(NotVerified) as caught:
            verify_chunk(file.id, 1, encoded)
        self.assertEqual(caught.exception.rule, "chunk_hash")
        too_large = BlobId(file.id.hash, MAX_BLOB_BYTES + 1)
        for blob, n in ((file.id, 2), (file.id, -1), (too_large, 0)):
            with self.assertRaises(NotVerified) as caught:
                verify_chunk(blob, n, encoded)
            self.assertEqual(caught.exception.rule, "no_such_chunk")

    def test_a_small_blob_is_checked_by_its_hash(self) -> None:
        blob = BlobId.of(b"hello")
        self.assertEqual(verify_chunk(blob, 0, b"hello"), b"hello")
        with self.assertRaises(NotVerified):
            verify_chunk(blob, 0, b"hullo")

    def test_a_file_that_changed_is_not_sent(self) -> None:
        for length in (10, BLOB_CHUNK_BYTES + 10):
            file = self.file(content(length))
            self.path.write_bytes(b"\xff" * length)
            with self.assertRaisesRegex(GridproofError, "changed since"):
                file.encode_chunk(0)
        with self.assertRaisesRegex(GridproofError, "cannot read"):
            BlobFile(self.path.parent / "nothing")

    def test_a_file_above_the_limit_is_refused(self) -> None:
        with mock.patch.object(chunks, "MAX_BLOB_BYTES", 10):
            self.file(content(10))
            with self.assertRaisesRegex(GridproofError, "the limit is 10"):
                self.file(content(11))


if __name__ == "__main__":
    unittest.main()
