"""Hashes: BLAKE3 in key-derivation mode with a context for each kind of value, and Merkle lists (docs/spec/encoding.md)."""

from __future__ import annotations

from collections.abc import Sequence

from blake3 import blake3


def domain_hash(domain: str, *parts: bytes) -> bytes:
    """The 32-byte hash of the concatenation of `parts` in a domain such as `"transaction id"`."""
    hasher = blake3(derive_key_context=f"gridproof v1 {domain}")
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def signing_hash(domain: str, chain: bytes, value: bytes) -> bytes:
    """What is signed: chain id and canonical bytes in the kind's own domain."""
    return domain_hash(domain, chain, value)


def merkle_root(items: Sequence[bytes]) -> bytes:
    """The root of a list of hashes; it covers their number."""
    level = [domain_hash("merkle leaf", item) for item in items]
    while len(level) > 1:
        pairs = zip(level[0::2], level[1::2])
        above = [domain_hash("merkle node", left, right) for left, right in pairs]
        level = above + level[len(above) * 2 :]
    top = level[0] if level else bytes(32)
    return domain_hash("merkle root", len(items).to_bytes(8, "little"), top)
