"""Transactions of a customer: what is signed, its id, the envelope that is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gridproof.codec import U64, U128, Address, Hash, PublicKeyBytes, SignatureBytes, Tagged, encode
from gridproof.hashing import domain_hash, signing_hash
from gridproof.keys import SecretKey
from gridproof.spec import JobSpec


@dataclass(frozen=True)
class Transfer:
    """Moves base units of SQUARE from the sender's account to another one."""

    to: Address
    amount: U128


@dataclass(frozen=True)
class SubmitJob:
    """Submits a job and locks its escrow."""

    spec: JobSpec


@dataclass(frozen=True)
class CancelJob:
    """Ends a live job of the sender's: who has worked is paid, the rest is refunded."""

    job: Hash


# A customer's actions; those of partners (1 to 3 and 6) are not made here.
Action = Annotated[Transfer | SubmitJob | CancelJob, Tagged(((0, Transfer), (4, SubmitJob), (5, CancelJob)))]


# Gas of every transaction, and of what an action does beside it.
_TRANSACTION_GAS = 4_096
_ACTION_GAS: dict[type, int] = {Transfer: 1_024, SubmitJob: 262_144, CancelJob: 65_536}
# What the minimum fee pays for, in gas or in bytes.
_GAS_OF_MIN_FEE = 32_768
_BYTES_OF_MIN_FEE = 1_024
# The envelope's kind and the signature, in bytes.
_ENVELOPE_BYTES = 1 + 64


@dataclass(frozen=True)
class Transaction:
    """An account's request, without its signature."""

    chain_id: Hash
    sender: PublicKeyBytes
    nonce: U64
    # Last height at which it may be included.
    valid_until: U64
    # Burned when it is included, in base units: at least `least_fee`.
    fee: U128
    action: Action

    @property
    def id(self) -> bytes:
        """The hash of the unsigned bytes."""
        return domain_hash("transaction id", encode(self))

    @property
    def job_id(self) -> bytes:
        """The id of the job that it submits, if it submits one."""
        return domain_hash("job id", self.id)

    def least_fee(self, min_fee: int) -> int:
        """What a network with that minimum fee asks for the transaction's gas and bytes, in base units."""
        length = _ENVELOPE_BYTES + len(encode(self))
        gas = length + _TRANSACTION_GAS + _ACTION_GAS[type(self.action)]
        weight = gas + length * (_GAS_OF_MIN_FEE // _BYTES_OF_MIN_FEE)
        return max(min_fee, -(-min_fee * weight // _GAS_OF_MIN_FEE))

    def sign(self, key: SecretKey) -> SignedTransaction:
        """Signs it with the key of its sender."""
        message = signing_hash("sign transaction", self.chain_id, encode(self))
        return SignedTransaction(self, key.sign(message))


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction with its sender's signature; `to_bytes` is what is sent."""

    transaction: Transaction
    signature: SignatureBytes

    def to_bytes(self) -> bytes:
        """The envelope of the native kind, which is number 0."""
        return b"\0" + encode(self)
