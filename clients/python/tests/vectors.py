"""The frozen bytes of the project's own tests, which the Rust sources write, and keys that made them."""

from __future__ import annotations

from pathlib import Path

from gridproof.blocks import Certificate, FinalityProof, Header, ReceiptProof, Statement, ValueProof
from gridproof.codec import decode
from gridproof.keys import SecretKey

ROOT = Path(__file__).resolve().parents[3]
_GOLDEN = ROOT / "types/tests/golden.txt"
_RECORDS = ROOT / "types/tests/golden_records.txt"
DOCUMENT = (ROOT / "light/src/document/golden.json").read_text(encoding="utf-8")
GENESIS = bytes.fromhex((ROOT / "light/src/document/golden_genesis.hex").read_text(encoding="utf-8"))


def _lines(path: Path) -> list[tuple[str, str]]:
    pairs = (line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return [(name, value) for name, value in pairs]


def golden(name: str) -> bytes:
    """The first vector of this name."""
    return next(bytes.fromhex(value) for found, value in _lines(_GOLDEN) if found == name)


def all_golden(name: str) -> list[bytes]:
    """Every vector of this name."""
    return [bytes.fromhex(value) for found, value in _lines(_GOLDEN) if found == name]


def record(name: str) -> bytes:
    """A vector of a record in state."""
    return next(bytes.fromhex(value) for found, value in _lines(_RECORDS) if found == name)


def key(n: int) -> SecretKey:
    """The key whose seed is one byte many times."""
    return SecretKey(bytes([n]) * 32)


def standing_proof() -> ReceiptProof:
    """The proof of the golden receipt document."""
    text = DOCUMENT.split('"proof": "')[1].split('"')[0]
    return decode(ReceiptProof, bytes.fromhex(text), 1 << 20)


def document_proof() -> ValueProof:
    """The receipt's part of it: one header, finalized by the first three of the keys 1 to 4."""
    return standing_proof().receipt


def members() -> list[SecretKey]:
    """The secret keys of the golden document's committee, in its order; stakes 4, 3, 3 and 3, so that a quorum is 9."""
    return sorted((key(n) for n in range(1, 5)), key=lambda secret: secret.public)


def signed(statement: Statement, chain: bytes, signers: list[int]) -> Certificate:
    """A certificate by these members."""
    bits = sum(1 << at for at in signers)
    message = statement.signing_hash(chain)
    signatures = tuple(members()[at].sign(message) for at in signers)
    return Certificate(statement, bits.to_bytes((bits.bit_length() + 7) // 8, "little"), signatures)


def finality(headers: tuple[Header, ...], statement: Statement, signers: list[int]) -> FinalityProof:
    """A path of headers with a certificate by these members."""
    return FinalityProof(headers, signed(statement, headers[-1].chain_id, signers))
