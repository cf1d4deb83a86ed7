"""Chunks of blobs with their BLAKE3 proofs, as docs/http.md describes them.

The package `blake3` hashes whole blobs. The hashes inside a blob's tree, which a chunk's proof is made of, it does not give: they
are computed here, on many lanes at once in Python's big integers (docs/http.md, "Chunks"; BLAKE3 paper, section 2).
"""

from __future__ import annotations

import array
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from gridproof.errors import GridproofError, NotVerified
from gridproof.limits import BLOB_CHUNK_BYTES, MAX_BLOB_BYTES
from gridproof.spec import BlobId

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_MIXES = (
    (0, 4, 8, 12, 0),
    (1, 5, 9, 13, 2),
    (2, 6, 10, 14, 4),
    (3, 7, 11, 15, 6),
    (0, 5, 10, 15, 8),
    (1, 6, 11, 12, 10),
    (2, 7, 8, 13, 12),
    (3, 4, 9, 14, 14),
)
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
# BLAKE3's own chunks and blocks, in bytes.
_LEAF_BYTES, _BLOCK_BYTES = 1_024, 64
_LEAVES_PER_CHUNK = BLOB_CHUNK_BYTES // _LEAF_BYTES
_LEVELS_PER_CHUNK = _LEAVES_PER_CHUNK.bit_length() - 1
# How many chunks of a file are hashed at once: more lanes cost less each.
_CHUNKS_AT_ONCE = 8
PAIR_BYTES = 64


@functools.lru_cache(maxsize=64)
def _ones(lanes: int) -> int:
    """1 in each of so many lanes of 64 bits; times a word it is the word in each."""
    return int.from_bytes(b"\1\0\0\0\0\0\0\0" * lanes, "little")


def _pack(words: Sequence[int]) -> int:
    """A word of 32 bits into each lane of 64."""
    lanes = array.array("Q", words)
    if sys.byteorder == "big":
        lanes.byteswap()
    return int.from_bytes(lanes.tobytes(), "little")


def _unpack(packed: int, lanes: int) -> array.array[int]:
    words = array.array("Q")
    words.frombytes(packed.to_bytes(8 * lanes, "little"))
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _compress(cv: Sequence[int], block: Sequence[int], lanes: int, counter: int, length: int, flags: int) -> list[int]:
    """BLAKE3's compression on many lanes; the counter is packed, length and flags are the same in all lanes."""
    ones = _ones(lanes)
    mask = 0xFFFFFFFF * ones
    state = [*cv, *(word * ones for word in _IV[:4]), counter, 0, length * ones, flags * ones]
    message = list(block)
    for _ in range(7):
        for a, b, c, d, at in _MIXES:
            va, vb, vc, vd = state[a], state[b], state[c], state[d]
            va = (va + vb + message[at]) & mask
            vd ^= va
            vd = ((vd >> 16) | (vd << 16)) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            vb = ((vb >> 12) | (vb << 20)) & mask
            va = (va + vb + message[at + 1]) & mask
            vd ^= va
            vd = ((vd >> 8) | (vd << 24)) & mask
            vc = (vc + vd) & mask
            vb ^= vc
            state[a], state[b], state[c], state[d] = va, ((vb >> 7) | (vb << 25)) & mask, vc, vd
        message = [message[i] for i in _PERMUTATION]
    return [state[i] ^ state[i + 8] for i in range(8)]


def _words(data: bytes) -> array.array[int]:
    words = array.array("I")
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _leaf_cvs(data: bytes, first: int) -> list[bytes]:
    """The chaining values of BLAKE3's chunks of 1 KiB, of which the first has number `first`; not of a root."""
    whole = len(data) // _LEAF_BYTES
    found: list[bytes] = []
    if whole:
        words = _words(data[: whole * _LEAF_BYTES])
        counter = _pack(range(first, first + whole))
        cv = [word * _ones(whole) for word in _IV]
        for block in range(16):
            flags = (_CHUNK_START if block == 0 else 0) | (_CHUNK_END if block == 15 else 0)
            message = [_pack(words[block * 16 + i :: 256]) for i in range(16)]
            cv = _compress(cv, message, whole, counter, _BLOCK_BYTES, flags)
        found = _split(cv, whole)
    rest = data[whole * _LEAF_BYTES :]
    if rest or not data:
        state: Sequence[int] = _IV
        blocks = range(0, max(len(rest), 1), _BLOCK_BYTES)
        for at in blocks:
            piece = rest[at : at + _BLOCK_BYTES]
            flags = (_CHUNK_START if at == 0 else 0) | (_CHUNK_END if at == blocks[-1] else 0)
            state = _compress(state, _words(piece.ljust(_BLOCK_BYTES, b"\0")), 1, first + whole, len(piece), flags)
        found += _split(list(state), 1)
    return found


def _split(cv: Sequence[int], lanes: int) -> list[bytes]:
    columns = [_unpack(word, lanes) for word in cv]
    return [b"".join(word.to_bytes(4, "little") for word in row) for row in zip(*columns)]


def _parents(level: Sequence[bytes]) -> list[bytes]:
    """The level above: pairs are hashed, the last of an odd number is carried up."""
    pairs = len(level) // 2
    if not pairs:
        return list(level)
    words = _words(b"".join(level[: 2 * pairs]))
    message = [_pack(words[i::16]) for i in range(16)]
    cv = [word * _ones(pairs) for word in _IV]
    above = _split(_compress(cv, message, pairs, 0, _BLOCK_BYTES, _PARENT), pairs)
    return above + list(level[2 * pairs :])


def _root(pair: bytes) -> bytes:
    return _split(_compress(_IV, _words(pair), 1, 0, _BLOCK_BYTES, _PARENT | _ROOT), 1)[0]


def _chunk_cvs(data: bytes, n: int) -> list[bytes]:
    """The chaining values of the subtrees of the chunks from `n` on; not of a root."""
    level = _leaf_cvs(data, n * _LEAVES_PER_CHUNK)
    for _ in range(_LEVELS_PER_CHUNK):
        level = _parents(level)
    return level


def chunk_count(blob: BlobId) -> int:
    """How many chunks a blob has; an empty one has a single empty chunk."""
    return max(1, -(-blob.length // BLOB_CHUNK_BYTES))


def chunk_length(blob: BlobId, n: int) -> int:
    """The number of bytes of chunk `n`."""
    return min(BLOB_CHUNK_BYTES, blob.length - n * BLOB_CHUNK_BYTES)


def _widths(count: int) -> list[int]:
    """How many nodes the tree has on each level, from the chunks up to the root."""
    widths = [count]
    while widths[-1] > 1:
        widths.append(-(-widths[-1] // 2))
    return widths


def _pair_levels(count: int, n: int) -> list[int]:
    """The levels, from the top down, of whose nodes over chunk `n` both children exist."""
    widths = _widths(count)
    levels = range(len(widths) - 1, 0, -1)
    return [level for level in levels if (n >> level) * 2 + 1 < widths[level - 1]]


def verify_chunk(blob: BlobId, n: int, encoded: bytes) -> bytes:
    """The bytes of chunk `n`, if the encoding is the one that the blob's hash allows."""
    count = chunk_count(blob)
    if blob.length > MAX_BLOB_BYTES or not 0 <= n < count:
        raise NotVerified("no_such_chunk", f"blob {blob} has no chunk {n}")
    levels = _pair_levels(count, n)
    expected_length = PAIR_BYTES * len(levels) + chunk_length(blob, n)
    if len(encoded) != expected_length:
        raise NotVerified("chunk_length", f"chunk {n} is encoded in {expected_length} bytes, {len(encoded)} were given")
    wrong = NotVerified("chunk_hash", f"chunk {n} does not belong to blob {blob}")
    data = encoded[PAIR_BYTES * len(levels) :]
    if not levels:
        if blake3(data).digest() != blob.hash:
            raise wrong
        return data
    expected = blob.hash
    for depth, level in enumerate(levels):
        pair = encoded[depth * PAIR_BYTES : (depth + 1) * PAIR_BYTES]
        found = _root(pair) if depth == 0 else _parents([pair[:32], pair[32:]])[0]
        if found != expected:
            raise wrong
        expected = pair[32:] if n >> (level - 1) & 1 else pair[:32]
    if _chunk_cvs(data, n) != [expected]:
        raise wrong
    return data


class BlobFile:
    """A file of this machine as a blob; the hash tree is made when the first chunk is encoded."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as file:
            hasher, length = blake3(max_threads=blake3.AUTO), 0
            while piece := file.read(4 << 20):
                hasher.update(piece)
                length += len(piece)
        if length > MAX_BLOB_BYTES:
            raise GridproofError(f"{self.path} has {length} bytes; the limit is {MAX_BLOB_BYTES}")
        self.id = BlobId(hasher.digest(), length)
        self._levels: list[list[bytes]] = []

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise GridproofError(f"cannot read {self.path}: {error.strerror}") from None

    def _tree(self) -> list[list[bytes]]:
        if not self._levels:
            levels: list[list[bytes]] = [[]]
            with self._open() as file:
                for n in range(0, chunk_count(self.id), _CHUNKS_AT_ONCE):
                    levels[0] += _chunk_cvs(file.read(_CHUNKS_AT_ONCE * BLOB_CHUNK_BYTES), n)
            while len(levels[-1]) > 1:
                levels.append(_parents(levels[-1]))
            self._levels = levels
        return self._levels

    def encode_chunk(self, n: int) -> bytes:
        """Chunk `n` with its proof, verified: a file that changed since it was hashed is refused."""
        with self._open() as file:
            file.seek(n * BLOB_CHUNK_BYTES)
            data = file.read(BLOB_CHUNK_BYTES)
        levels = _pair_levels(chunk_count(self.id), n)
        tree = self._tree() if levels else []
        pairs = [b"".join(tree[level - 1][(n >> level) * 2 :][:2]) for level in levels]
        encoded = b"".join(pairs) + data
        try:
            verify_chunk(self.id, n, encoded)
        except NotVerified:
            raise GridproofError(f"{self.path} changed since it was hashed") from None
        return encoded
