"""What proofs are made of: headers, committees, certificates, state proofs, and the genesis."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

from gridproof.codec import (
    U8,
    U16,
    U32,
    U64,
    U128,
    Address,
    Hash,
    Items,
    PublicKeyBytes,
    Raw,
    SignatureBytes,
    Tagged,
    decode,
    encode,
)
from gridproof.errors import CodecError
from gridproof.hashing import domain_hash, signing_hash
from gridproof.keys import address_of
from gridproof.limits import (
    MAX_ATTRIBUTES,
    MAX_CLASSES,
    MAX_COMMITTEE,
    MAX_GENESIS_BYTES,
    MAX_HEADER_PATH,
    MAX_PARTNERS,
    MAX_PROOF_SIBLINGS,
    MAX_PROTOCOL_VERSIONS,
    MAX_STATE_VALUE_BYTES,
)
from gridproof.spec import Name
from gridproof.zip215 import is_strong


@dataclass(frozen=True)
class Header:
    """A block's header; its hash is the block's id. `parent_state_root` is the state after the parent."""

    protocol_version: U16
    chain_id: Hash
    height: U64
    parent: Hash
    # Milliseconds since 1970.
    timestamp: U64
    proposer: Address
    transaction_root: Hash
    base_fee: U128
    # Hash of the next committee on a block before a change, else zeros.
    next_committee: Hash
    parent_state_root: Hash
    parent_receipt_root: Hash
    parent_gas_used: U64

    @property
    def id(self) -> bytes:
        return domain_hash("block id", encode(self))


@dataclass(frozen=True)
class Validator:
    """A member of a committee."""

    key: PublicKeyBytes
    vrf_key: PublicKeyBytes
    node_key: PublicKeyBytes
    stake: U64

    @property
    def id(self) -> bytes:
        return address_of(self.key)


_Members = Annotated[tuple[Validator, ...], Items(MAX_COMMITTEE)]


@dataclass(frozen=True)
class Committee:
    """1 to 256 validators, sorted by key, each key once, with stakes above zero and below 2^63 together."""

    members: _Members

    def __post_init__(self) -> None:
        keys = [member.key for member in self.members]
        if not keys or len(keys) > MAX_COMMITTEE or any(a >= b for a, b in itertools.pairwise(keys)):
            raise CodecError("a committee is 1 to 256 validators, sorted by key, each key once")
        if min(member.stake for member in self.members) == 0 or self.total >= 1 << 63:
            raise CodecError("stakes of a committee are above zero and below 2^63 together")

    @property
    def total(self) -> int:
        """W, the sum of all stakes."""
        return sum(member.stake for member in self.members)

    @property
    def quorum(self) -> int:
        """Q = W - F, the stake that decides, where F = (W - 1) / 3 may be faulty."""
        return self.total - (self.total - 1) // 3

    @property
    def hash(self) -> bytes:
        return domain_hash("committee hash", encode(self.members, _Members))

    def smallest_quorum(self, among: list[int]) -> list[int]:
        """The largest stakes first, equal ones by position, until they decide; in ascending order. Empty if they do not."""
        gathered, chosen = 0, []
        for at in sorted(among, key=lambda at: (-self.members[at].stake, at)):
            if gathered >= self.quorum:
                break
            chosen.append(at)
            gathered += self.members[at].stake
        return sorted(chosen) if gathered >= self.quorum else []


@dataclass(frozen=True)
class Notarize:
    parent_view: U64
    block: Hash


@dataclass(frozen=True)
class Nullify:
    pass


@dataclass(frozen=True)
class Finalize:
    block: Hash


@dataclass(frozen=True)
class Statement:
    """What all signers of a certificate signed. `epoch` is the first of their committee's term."""

    epoch: U64
    view: U64
    subject: Annotated[Notarize | Nullify | Finalize, Tagged(((0, Notarize), (1, Nullify), (2, Finalize)))]

    def signing_hash(self, chain: bytes) -> bytes:
        domains = {Notarize: "sign notarize", Nullify: "sign nullify", Finalize: "sign finalize"}
        return signing_hash(domains[type(self.subject)], chain, encode(self))


@dataclass(frozen=True)
class Certificate:
    """Signatures of members of a committee on one statement."""

    statement: Statement
    # A bit for each position in the committee, the lowest bit of the first byte first; no zero byte at the end.
    signer_bits: Annotated[bytes, Raw(MAX_COMMITTEE // 8)]
    # One per signer, in ascending order of position.
    signatures: Annotated[tuple[SignatureBytes, ...], Items(MAX_COMMITTEE)]

    def __post_init__(self) -> None:
        if self.signer_bits.endswith(b"\0"):
            raise CodecError("a set of validators with a trailing zero byte")

    @property
    def signers(self) -> list[int]:
        """The signers' positions, ascending."""
        bits = int.from_bytes(self.signer_bits, "little")
        return [at for at in range(bits.bit_length()) if bits >> at & 1]

    def of_signers(self, kept: list[int]) -> Certificate:
        """The certificate with these of its signers."""
        bits = sum(1 << at for at in kept)
        signatures = dict(zip(self.signers, self.signatures))
        packed = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
        return Certificate(self.statement, packed, tuple(signatures[at] for at in kept))


@dataclass(frozen=True)
class StateLeaf:
    """Hash of the key and of the value at the end of a path."""

    key: Hash
    value: Hash


@dataclass(frozen=True)
class StateProof:
    """A path in the state tree: its leaf, and the hashes beside it from the bottom up."""

    leaf: StateLeaf | None
    siblings: Annotated[tuple[Hash, ...], Items(MAX_PROOF_SIBLINGS)]


@dataclass(frozen=True)
class FinalityProof:
    """From the header proven to the one that the certificate finalizes, each the child of the one before."""

    headers: Annotated[tuple[Header, ...], Items(MAX_HEADER_PATH)]
    certificate: Certificate


@dataclass(frozen=True)
class ValueProof:
    """A value, or its absence, under the state root of the first header."""

    value: Annotated[bytes, Raw(MAX_STATE_VALUE_BYTES)] | None
    proof: StateProof
    finality: FinalityProof


@dataclass(frozen=True)
class ReceiptProof:
    """That a receipt stands: a chain time, no revocation, the receipt, in states that follow one another or are the same."""

    time: ValueProof
    revocation: ValueProof
    receipt: ValueProof


@dataclass(frozen=True)
class Handover:
    """The last header of a term, finalized by its committee, and the committee that it announces."""

    header: Header
    certificate: Certificate
    committee: Committee


@dataclass(frozen=True)
class VersionStart:
    height: U64
    version: U16


@dataclass(frozen=True)
class ClassParams:
    """An engine class: bounds of heights, lowest speeds, most fuel of a task, least ask."""

    class_: U16
    from_height: U64
    until_height: U64 | None
    min_fuel_per_ms: U64
    lowest_bytes_per_ms: U64
    max_task_fuel: U64
    min_ask: U128


@dataclass(frozen=True)
class ComputeParams:
    open_window_ms: U64
    acknowledge_window_ms: U64
    announce_window_ms: U64
    execute_window_ms: U64
    renewal_interval_ms: U64
    reveal_window_ms: U64
    store_window_ms: U64
    unbonding_ms: U64
    audit_window_ms: U64
    appeal_window_ms: U64
    ended_jobs_kept_ms: U64
    min_bond: U128
    classes: Annotated[tuple[ClassParams, ...], Items(MAX_CLASSES)]
    verifier_fee_percent: U8
    verifications_per_place: U16
    live_jobs_per_customer: U16
    storage_fee_per_mib: U128
    place_rent: U128
    blob_rent_per_gib: U128
    bond_rent_ppb: U32
    blob_room_bytes: U64
    decline_penalty: U128
    max_attempts: U16
    probation_multiple: U32


@dataclass(frozen=True)
class Params:
    # True on a network of tests.
    devnet: bool
    protocol_versions: Annotated[tuple[VersionStart, ...], Items(MAX_PROTOCOL_VERSIONS)]
    # Blocks per epoch.
    epoch_length: U64
    idle_target_ms: U64
    pace_ms: U64
    max_clock_ahead_ms: U64
    min_fee: U128
    block_gas_limit: U64
    beacon_lag: U64
    beacon_skip_blocks: U64
    beacon_skip_ms: U64
    beacon_skip_penalty: U128
    compute: ComputeParams


@dataclass(frozen=True)
class GenesisAccount:
    address: Address
    balance: U128


@dataclass(frozen=True)
class PartnerProfile:
    name: Name
    classes: Annotated[tuple[U16, ...], Items(MAX_CLASSES, ordered=True)]
    vrf_key: PublicKeyBytes
    ask: U128
    places: U16
    attributes: Annotated[dict[Name, Name], Items(MAX_ATTRIBUTES)]


@dataclass(frozen=True)
class GenesisPartner:
    address: Address
    bond: U128
    profile: PartnerProfile


@dataclass(frozen=True)
class Genesis:
    """The one value from which a chain and its id follow."""

    name: Name
    time: U64
    params: Params
    accounts: Annotated[tuple[GenesisAccount, ...], Items(MAX_GENESIS_BYTES)]
    validators: _Members
    partners: Annotated[tuple[GenesisPartner, ...], Items(MAX_PARTNERS)]

    @classmethod
    def from_bytes(cls, data: bytes) -> Genesis:
        """The genesis of these bytes. Its committee must be one, and the keys with which it votes strong ones."""
        genesis = decode(cls, data, MAX_GENESIS_BYTES)
        for member in genesis.committee.members:
            if not is_strong(member.key):
                raise CodecError(f"the key of validator {member.id.hex()} is a weak one")
        if genesis.params.epoch_length == 0:
            raise CodecError("an epoch of no blocks")
        return genesis

    @property
    def committee(self) -> Committee:
        return Committee(self.validators)

    @property
    def chain_id(self) -> bytes:
        """The chain's id on its own L1."""
        return domain_hash("chain id", bytes(32), encode(self))

    def epoch(self, height: int) -> int:
        """Epoch e is the heights from (e - 1) E + 1 to e E; genesis counts to the first, which is 1."""
        return -(-max(height, 1) // self.params.epoch_length)

    def is_boundary(self, height: int) -> bool:
        """True for the last height of an epoch."""
        return height != 0 and height % self.params.epoch_length == 0
