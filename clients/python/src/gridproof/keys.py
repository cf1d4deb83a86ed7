"""Keys of accounts: read from a key file, an environment variable or a descriptor; addresses; signatures."""

from __future__ import annotations

import os
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gridproof import zip215
from gridproof.errors import KeyFileError
from gridproof.hashing import domain_hash

MAX_KEY_FILE_BYTES = 4_096
_LINE = re.compile(r'\s*(kind|public|secret)\s*=\s*"([^"\\]*)"\s*(?:#.*)?')


class SecretKey:
    """An ed25519 key of an account. Its text never shows the secret."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    @property
    def address(self) -> bytes:
        """The account's address, 20 bytes."""
        return address_of(self.public)

    def sign(self, message: bytes) -> bytes:
        """The signature over a signing hash."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SecretKey(of account {self.address.hex()})"


def address_of(public: bytes) -> bytes:
    """The address of a public key: of an account, or the id of a validator."""
    return domain_hash("account address", public)[:20]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """True if a signature is valid under ZIP-215, the rule of the chain."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        # The library takes less than ZIP-215 does: what it refuses is judged by the rule itself.
        return zip215.verify(public, message, signature)


def load_key(source: str) -> SecretKey:
    """The account key of `env:NAME`, `fd:NUMBER`, `file:PATH` or a path.

    A variable or a descriptor holds the text of a key file. A key file that others may read is refused.
    """
    kind, _, rest = source.partition(":")
    if kind == "env":
        text = os.environ.get(rest)
        if text is None:
            raise KeyFileError(f"the environment variable {rest} is not set")
        return parse_key(text, f"the environment variable {rest}")
    if kind == "fd":
        return parse_key(_read_descriptor(rest), f"descriptor {rest}")
    path = rest if kind == "file" else source
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise KeyFileError(f"key file {path} has mode {mode:03o}, so others may read the secret")
            data = file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from None
    return parse_key(_text(data, path), path)


def _read_descriptor(number: str) -> str:
    if not re.fullmatch("[0-9]{1,9}", number, re.ASCII):
        raise KeyFileError("expected the number of a descriptor, such as fd:3")
    try:
        with open(int(number), "rb", closefd=False) as file:
            return _text(file.read(MAX_KEY_FILE_BYTES), f"descriptor {number}")
    except OSError as error:
        raise KeyFileError(f"descriptor {number}: {error.strerror}") from None


def _text(data: bytes, origin: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise KeyFileError(f"{origin} does not hold a key file: it is not text") from None


def parse_key(text: str, origin: str) -> SecretKey:
    """The key of a key file's text; `origin` names it in errors, which never quote it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1] in found:
            raise KeyFileError(f"{origin} does not hold a key file: expected the keys kind, public and secret")
        found[match[1]] = match[2]
    if set(found) != {"kind", "public", "secret"}:
        raise KeyFileError(f"{origin} does not hold a key file: expected the keys kind, public and secret")
    if found["kind"] != "account":
        raise KeyFileError(f"{origin} does not hold the key of an account, but one of another kind")
    if not re.fullmatch("[0-9a-fA-F]{64}", found["secret"], re.ASCII):
        raise KeyFileError(f"{origin} does not hold a key file: its secret is not 64 hex digits")
    key = SecretKey(bytes.fromhex(found["secret"]))
    if key.public.hex() != found["public"]:
        raise KeyFileError(f"{origin} does not hold a key file: its public key is not that of its secret")
    return key
