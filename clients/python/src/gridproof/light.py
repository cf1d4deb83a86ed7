"""The light client: from a genesis that its reader trusts to a value in state, without trust in any node.

A certificate of a committee makes a header final, parents' ids lead from it back to another header, that header names a state
root, a path in the tree leads to a value. `light/` of the project is the same in Rust; docs/spec/state.md says what is checked.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

from gridproof.blocks import (
    Certificate,
    Committee,
    FinalityProof,
    Finalize,
    Genesis,
    Handover,
    Header,
    ReceiptProof,
    StateProof,
    ValueProof,
)
from gridproof.codec import decode, encode
from gridproof.errors import CodecError, NotVerified
from gridproof.hashing import domain_hash
from gridproof.keys import verify
from gridproof.limits import MAX_DOCUMENT_BYTES, MAX_STATE_VALUE_BYTES
from gridproof.receipt import JobReceipt

# What a receipt document says it is.
FORMAT = "gridproof job receipt 2"
# The hash of a place in the tree below which there is no key.
_EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
_RECEIPT_KEY = 15
_REVOCATION_KEY = 16
# The state key of the chain's record, which begins with chain time.
CHAIN_KEY = bytes([1])
_REVOKED = ("the result is challenged", "validators found that the result is wrong", "validators found no one result")


def receipt_key(job: bytes) -> bytes:
    """The state key of a job's receipt."""
    return bytes([_RECEIPT_KEY]) + job


def revocation_key(job: bytes) -> bytes:
    """The state key of what revokes a job's receipt."""
    return bytes([_REVOCATION_KEY]) + job


@dataclass(frozen=True)
class ProvenReceipt:
    """A receipt that stands, the header whose state root shows it, and the stake that made that header final.

    There was no revocation of it after height `stood_at`, and chain time had reached `chain_time` by then. `is_final` if nobody
    can challenge it any more.
    """

    receipt: JobReceipt
    header: Header
    signed_stake: int
    stood_at: int
    chain_time: int
    is_final: bool


class Light:
    """What a reader trusts: a chain and the committees of its terms, as far as they are proven."""

    def __init__(self, genesis: bytes) -> None:
        self._genesis = Genesis.from_bytes(genesis)
        self.chain_id = self._genesis.chain_id
        # Each committee with the first epoch of its term, ascending.
        self._terms: list[tuple[int, Committee]] = [(1, self._genesis.committee)]

    def committee(self, epoch: int) -> Committee:
        """The proven committee whose term begins with this epoch."""
        for first, committee in self._terms:
            if first == epoch:
                return committee
        message = f"the certificate is of the committee of epoch {epoch}, of which there is no proof here"
        raise NotVerified("unknown_committee", message)

    def advance(self, handover: Handover) -> None:
        """Takes the committee that follows the newest one known; nothing changes if the handover is refused."""
        header, (since, committee) = handover.header, self._terms[-1]
        self._check_chain(header)
        if not self._genesis.is_boundary(header.height):
            raise NotVerified("no_boundary", f"height {header.height} is not the last of an epoch")
        epoch = self._genesis.epoch(header.height)
        if epoch < since:
            raise NotVerified("past", f"epoch {epoch} is before the newest term, which began with {since}")
        if header.next_committee != handover.committee.hash:
            raise NotVerified("other_committee", f"header {header.height} announces another committee")
        if handover.committee.hash == committee.hash:
            raise NotVerified("same_committee", "the committee in office stays: nothing is handed over")
        self._check_certificate(handover.certificate, since, committee, header.id)
        self._terms.append((epoch + 1, handover.committee))

    def verify_finality(self, proof: FinalityProof) -> Header:
        """The first header of a proof, if its descendants lead to one that the committee in office finalized."""
        if not proof.headers:
            raise NotVerified("no_header", "the proof holds no header")
        epoch = proof.certificate.statement.epoch
        committee = self.committee(epoch)
        for header in proof.headers:
            self._check_header(header, epoch, committee)
        for parent, child in itertools.pairwise(proof.headers):
            if child.parent != parent.id or child.height != parent.height + 1:
                message = f"header {child.height} is not the child of the header before it"
                raise NotVerified("broken_path", message)
        self._check_certificate(proof.certificate, epoch, committee, proof.headers[-1].id)
        return proof.headers[0]

    def verify_value(self, proof: ValueProof, key: bytes) -> Header:
        """The final header whose state root shows the proof's value under `key`, or that there is none."""
        header = self.verify_finality(proof.finality)
        if header.height == 0:
            raise NotVerified("no_state", "the header of height 0 names no state")
        verify_state(header.parent_state_root, key, proof.value, proof.proof)
        return header

    def _cut(self, proof: ValueProof) -> ValueProof:
        """The same proof with no signer more than it needs."""
        certificate = proof.finality.certificate
        committee = self.committee(certificate.statement.epoch)
        if len(certificate.signers) == len(certificate.signatures) and max(certificate.signers, default=0) < len(committee.members):
            kept = committee.smallest_quorum(certificate.signers)
            certificate = certificate.of_signers(kept) if kept else certificate
        return ValueProof(proof.value, proof.proof, FinalityProof(proof.finality.headers, certificate))

    def receipt_document(self, proof: ReceiptProof) -> str:
        """The text of `receipt.json`, with no signer more than it needs. The proof is not verified."""
        proof = ReceiptProof(self._cut(proof.time), self._cut(proof.revocation), self._cut(proof.receipt))
        finality, stood = proof.receipt.finality, proof.revocation.finality.headers
        if proof.receipt.value is None or not finality.headers or not stood:
            raise NotVerified("no_receipt", "the proof shows no receipt under a header")
        receipt, chain_time = _decoded_receipt(proof.receipt.value), _chain_time(proof)
        first, last = finality.headers[0], finality.headers[-1]
        certificate = finality.certificate
        members = self.committee(certificate.statement.epoch).members
        document = {
            "format": FORMAT,
            "chain": first.chain_id.hex(),
            "receipt": receipt.to_json(),
            "proven": {
                "height": first.height,
                "block": first.id.hex(),
                "timestamp": first.timestamp,
                "final_height": last.height,
                "final_block": last.id.hex(),
                "signers": [members[at].id.hex() for at in certificate.signers if at < len(members)],
            },
            "standing": {
                "height": stood[0].height,
                "block": stood[0].id.hex(),
                "timestamp": stood[0].timestamp,
                "chain_time": chain_time,
                "is_final": chain_time >= receipt.revocable_until,
            },
            "proof": encode(proof).hex(),
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def verify_receipt(self, document: str) -> ProvenReceipt:
        """Verifies a receipt document. Its one source is the proof: a text that differs from what its proof gives is refused."""
        if len(document) > MAX_DOCUMENT_BYTES:
            raise NotVerified("document_too_long", f"a receipt document has at most {MAX_DOCUMENT_BYTES} bytes")
        try:
            source = json.loads(document)["proof"]
            proof = decode(ReceiptProof, bytes.fromhex(source), MAX_DOCUMENT_BYTES)
        except (ValueError, KeyError, TypeError, RecursionError, CodecError) as error:
            raise NotVerified("no_document", f"not a receipt document with a proof: {error}") from None
        if self.receipt_document(proof) != document:
            raise NotVerified("not_canonical", "the document differs from what its own proof says")
        assert proof.receipt.value is not None
        receipt = _decoded_receipt(proof.receipt.value)
        time = self.verify_value(proof.time, CHAIN_KEY)
        stood = self.verify_value(proof.revocation, revocation_key(receipt.job))
        header = self.verify_value(proof.receipt, receipt_key(receipt.job))
        if not time.height <= stood.height <= header.height:
            raise NotVerified("out_of_order", "the parts of the proof are not of states that follow one another")
        if proof.revocation.value is not None:
            kind = proof.revocation.value[0] if proof.revocation.value else len(_REVOKED)
            why = _REVOKED[kind] if kind < len(_REVOKED) else "it is revoked in a way that this client does not know"
            raise NotVerified("not_standing", f"the receipt does not stand: {why}")
        certificate = proof.receipt.finality.certificate
        members = self.committee(certificate.statement.epoch).members
        stake = sum(members[at].stake for at in certificate.signers)
        chain_time = _chain_time(proof)
        return ProvenReceipt(receipt, header, stake, stood.height - 1, chain_time, chain_time >= receipt.revocable_until)

    def _check_chain(self, header: Header) -> None:
        if header.chain_id != self.chain_id:
            message = f"header {header.height} is of chain {header.chain_id.hex()}, not of {self.chain_id.hex()}"
            raise NotVerified("other_chain", message)

    def _check_header(self, header: Header, term: int, committee: Committee) -> None:
        self._check_chain(header)
        epoch = self._genesis.epoch(header.height)
        over = any(term < first <= epoch for first, _ in self._terms)
        if epoch < term or over:
            message = f"header {header.height} is of epoch {epoch}, outside the term of the committee of epoch {term}"
            raise NotVerified("outside_term", message)
        if header.next_committee not in (bytes(32), committee.hash):
            message = f"header {header.height} announces another committee than the one that finalized it"
            raise NotVerified("other_committee", message)

    def _check_certificate(self, certificate: Certificate, epoch: int, committee: Committee, block: bytes) -> None:
        """It is of the term, finalizes the block, has a signature of each signer, who decide, and each verifies."""
        statement, signers = certificate.statement, certificate.signers
        if statement.epoch != epoch:
            raise NotVerified("other_epoch", f"the certificate is of epoch {statement.epoch}, not of {epoch}")
        if statement.subject != Finalize(block):
            raise NotVerified("not_finalized", f"the certificate does not finalize block {block.hex()}")
        if len(signers) != len(certificate.signatures):
            raise NotVerified("signature_count", f"{len(signers)} signers and {len(certificate.signatures)} signatures")
        if any(at >= len(committee.members) for at in signers):
            raise NotVerified("stranger", "a signer is no member of the committee")
        stake = sum(committee.members[at].stake for at in signers)
        if stake < committee.quorum:
            raise NotVerified("no_quorum", f"the signers hold a stake of {stake}, a quorum has {committee.quorum}")
        message = statement.signing_hash(self.chain_id)
        for at, signature in zip(signers, certificate.signatures):
            if not verify(committee.members[at].key, message, signature):
                raise NotVerified("signature", f"the signature of member {at} does not verify")


def _chain_time(proof: ReceiptProof) -> int:
    value = proof.time.value
    if value is None or len(value) < 8:
        raise NotVerified("no_time", "the proof shows no chain time")
    return int.from_bytes(value[:8], "little")


def _decoded_receipt(value: bytes) -> JobReceipt:
    try:
        return decode(JobReceipt, value, MAX_STATE_VALUE_BYTES)
    except CodecError as error:
        raise NotVerified("no_receipt", f"the value is not a job's receipt: {error}") from None


def verify_state(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> None:
    """Refuses unless under `root` the key holds `value`, or is absent if there is none."""
    place = domain_hash("state key", key)
    if value is not None:
        if proof.leaf is None or proof.leaf.key != place:
            raise NotVerified("wrong_key", "the path does not end at the key that it should show")
        if proof.leaf.value != domain_hash("state value", value):
            raise NotVerified("wrong_value", "the path ends at another value")
    elif proof.leaf is not None:
        if proof.leaf.key == place:
            raise NotVerified("present", "the key is there, though it should be shown absent")
        shared = 256 - (int.from_bytes(proof.leaf.key, "big") ^ int.from_bytes(place, "big")).bit_length()
        if shared < len(proof.siblings):
            raise NotVerified("elsewhere", "the key at the path's end does not share the path")
    if _fold(place, proof) != root:
        raise NotVerified("wrong_root", "the path leads to another state root")


def _fold(place: bytes, proof: StateProof) -> bytes:
    """The root that a path leads to: the key's bits, the highest first, say on which side each sibling stands."""
    leaf, bits = proof.leaf, int.from_bytes(place, "big")
    below = _EMPTY if leaf is None else domain_hash("state leaf", leaf.key, leaf.value)
    for depth, sibling in zip(range(len(proof.siblings) - 1, -1, -1), proof.siblings):
        pair = (sibling, below) if bits >> (255 - depth) & 1 else (below, sibling)
        below = domain_hash("state node", *pair)
    return below
