"""Each check of the light client refuses what it is there for; without tampering the same proof is taken."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gridproof.blocks import (
    Committee,
    FinalityProof,
    Finalize,
    Genesis,
    Handover,
    Header,
    Nullify,
    StateLeaf,
    Statement,
    StateProof,
    Validator,
    ValueProof,
)
from gridproof.codec import decode, encode
from gridproof.errors import CodecError, NotVerified
from gridproof.hashing import domain_hash
from gridproof.light import CHAIN_KEY, Light, receipt_key, revocation_key, verify_state
from gridproof.receipt import JobReceipt
from tests.vectors import DOCUMENT, GENESIS, document_proof, finality, key, members, signed, standing_proof

# A quorum is 9 of the stakes 4, 3, 3 and 3.
QUORUM = [0, 1, 2]
EPOCH_LENGTH = 20


class Refusals(unittest.TestCase):
    def refused(self, rule: str, act: Callable[..., Any], *arguments: Any) -> None:
        with self.assertRaises(NotVerified) as caught:
            act(*arguments)
        self.assertEqual(caught.exception.rule, rule, caught.exception)


def of_header(header: Header, **changes: Any) -> FinalityProof:
    """A path of one changed header, finalized by a quorum."""
    header = replace(header, **changes)
    return finality((header,), Statement(1, 7, Finalize(header.id)), QUORUM)


def next_to(header: Header, **changes: Any) -> Header:
    return replace(header, **{"height": header.height + 1, "parent": header.id, **changes})


class FinalityTest(Refusals):
    def setUp(self) -> None:
        self.light = Light(GENESIS)
        self.proof = document_proof().finality
        self.header = self.proof.headers[0]

    def path(self, *headers: Header, signers: list[int] = QUORUM, epoch: int = 1) -> FinalityProof:
        return finality(headers, Statement(epoch, 7, Finalize(headers[-1].id)), signers)

    def test_a_quorum_makes_a_path_final(self) -> None:
        self.assertEqual(self.light.verify_finality(self.proof), self.header)
        child = next_to(self.header)
        self.assertEqual(self.light.verify_finality(self.path(self.header, child)), self.header)
        self.light.verify_finality(self.path(self.header, signers=[0, 1, 2, 3]))
        self.light.verify_finality(self.path(self.header, signers=[1, 2, 3]))

    def test_a_path_without_headers_proves_nothing(self) -> None:
        self.refused("no_header", lambda: self.light.verify_finality(replace(self.proof, headers=())))

    def test_headers_are_of_the_trusted_chain(self) -> None:
        other = of_header(self.header, chain_id=bytes(32))
        self.refused("other_chain", lambda: self.light.verify_finality(other))

    def test_each_header_is_the_child_of_the_one_before(self) -> None:
        for change in ({"parent": bytes(32)}, {"height": self.header.height + 2}, {"height": self.header.height}):
            child = next_to(self.header, **change)
            self.refused("broken_path", self.light.verify_finality, self.path(self.header, child))

    def test_a_certificate_is_of_a_committee_that_is_proven(self) -> None:
        self.refused("unknown_committee", lambda: self.light.verify_finality(self.path(self.header, epoch=2)))

    def test_a_certificate_finalizes_the_last_header(self) -> None:
        for subject in (Finalize(bytes(32)), Nullify()):
            certificate = signed(Statement(1, 7, subject), self.light.chain_id, QUORUM)
            proof = FinalityProof((self.header,), certificate)
            self.refused("not_finalized", self.light.verify_finality, proof)
        headers = (self.header, next_to(self.header))
        of_first = finality((self.header,), Statement(1, 7, Finalize(self.header.id)), QUORUM).certificate
        self.refused("not_finalized", lambda: self.light.verify_finality(FinalityProof(headers, of_first)))

    def test_signers_hold_a_quorum_of_the_stake(self) -> None:
        for signers in ([], [0], [0, 1], [1, 2], [2, 3]):
            proof = self.path(self.header, signers=signers)
            self.refused("no_quorum", self.light.verify_finality, proof)

    def test_signers_are_members(self) -> None:
        certificate = self.proof.certificate
        stranger = replace(certificate, signer_bits=b"\x17", signatures=certificate.signatures + (bytes(64),))
        proof = replace(self.proof, certificate=stranger)
        self.refused("stranger", lambda: self.light.verify_finality(proof))

    def test_each_signer_has_one_signature(self) -> None:
        certificate = self.proof.certificate
        for signatures in (certificate.signatures[:-1], certificate.signatures * 2):
            proof = replace(self.proof, certificate=replace(certificate, signatures=signatures))
            self.refused("signature_count", self.light.verify_finality, proof)

    def test_each_signature_verifies(self) -> None:
        certificate = self.proof.certificate
        for at in range(3):
            signatures = list(certificate.signatures)
            signatures[at] = signatures[at][:32] + bytes(32)
            proof = replace(self.proof, certificate=replace(certificate, signatures=tuple(signatures)))
            self.refused("signature", self.light.verify_finality, proof)
        other_view = replace(certificate, statement=replace(certificate.statement, view=8))
        proof = replace(self.proof, certificate=other_view)
        self.refused("signature", lambda: self.light.verify_finality(proof))

    def test_a_header_that_hands_over_is_no_one_elses(self) -> None:
        proof = of_header(self.header, next_committee=bytes([1]) * 32)
        self.refused("other_committee", lambda: self.light.verify_finality(proof))
        own = Genesis.from_bytes(GENESIS).committee.hash
        self.light.verify_finality(of_header(self.header, next_committee=own))


class HandoverTest(Refusals):
    def setUp(self) -> None:
        self.light = Light(GENESIS)
        validators = Genesis.from_bytes(GENESIS).validators
        self.next = Committee(tuple(replace(member, stake=1) for member in validators))
        header = document_proof().finality.headers[0]
        self.header = replace(header, height=EPOCH_LENGTH, next_committee=self.next.hash)

    def handover(self, header: Header, committee: Committee, epoch: int = 1, signers: list[int] = QUORUM) -> Handover:
        statement = Statement(epoch, 7, Finalize(header.id))
        return Handover(header, signed(statement, header.chain_id, signers), committee)

    def test_the_next_committee_counts_in_its_own_term_only(self) -> None:
        self.light.advance(self.handover(self.header, self.next))
        later = replace(self.header, height=EPOCH_LENGTH + 1, next_committee=bytes(32))
        statement = Statement(2, 7, Finalize(later.id))
        self.light.verify_finality(finality((later,), statement, [0, 1, 2]))
        old = finality((later,), replace(statement, epoch=1), QUORUM)
        self.refused("outside_term", lambda: self.light.verify_finality(old))
        before = document_proof().finality.headers[0]
        early = finality((before,), Statement(2, 7, Finalize(before.id)), [0, 1, 2])
        self.refused("outside_term", lambda: self.light.verify_finality(early))
        self.refused("past", lambda: self.light.advance(self.handover(self.header, self.next, 2)))

    def test_what_hands_nothing_over_is_refused(self) -> None:
        own = Genesis.from_bytes(GENESIS).committee
        cases = {
            "other_chain": self.handover(replace(self.header, chain_id=bytes(32)), self.next),
            "no_boundary": self.handover(replace(self.header, height=EPOCH_LENGTH + 1), self.next),
            "other_committee": self.handover(self.header, own),
            "same_committee": self.handover(replace(self.header, next_committee=own.hash), own),
            "other_epoch": self.handover(self.header, self.next, 2),
            "no_quorum": self.handover(self.header, self.next, signers=[0]),
            "not_finalized": replace(self.handover(self.header, self.next), header=replace(self.header, parent_gas_used=99)),
        }
        for rule, handover in cases.items():
            self.refused(rule, self.light.advance, handover)
        self.refused("unknown_committee", lambda: self.light.committee(2))


class ValueTest(Refusals):
    def setUp(self) -> None:
        self.light = Light(GENESIS)
        self.proof = document_proof()
        assert self.proof.value is not None
        self.value = self.proof.value
        self.key = receipt_key(decode(JobReceipt, self.value, 10_000).job)

    def check(self, rule: str, key_bytes: bytes | None = None, **changes: Any) -> None:
        proof = replace(self.proof, **changes)
        self.refused(rule, lambda: self.light.verify_value(proof, key_bytes or self.key))

    def test_a_value_is_under_its_key(self) -> None:
        self.assertEqual(self.light.verify_value(self.proof, self.key), self.proof.finality.headers[0])
        self.check("wrong_key", receipt_key(bytes(32)))
        self.check("wrong_value", value=self.value[:-1] + b"\xff")
        self.check("present", value=None)
        self.check("wrong_key", proof=StateProof(None, self.proof.proof.siblings))

    def test_a_path_leads_to_the_root_of_the_header(self) -> None:
        path = self.proof.proof
        for at in range(len(path.siblings)):
            siblings = list(path.siblings)
            siblings[at] = bytes(32)
            self.check("wrong_root", proof=replace(path, siblings=tuple(siblings)))
        self.check("wrong_root", proof=replace(path, siblings=path.siblings[:-1]))
        self.check("wrong_root", proof=replace(path, siblings=path.siblings + (bytes(32),)))

    def test_the_header_of_height_0_names_no_state(self) -> None:
        header = self.proof.finality.headers[0]
        self.check("no_state", finality=of_header(header, height=0))

    def test_absence_is_shown_by_an_empty_place_or_by_a_neighbour_on_the_path(self) -> None:
        empty = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
        verify_state(empty, self.key, None, StateProof(None, ()))
        # A tree of one key: its leaf is the root, and shares no bit with half of all keys.
        other = domain_hash("state key", b"other")
        leaf = StateLeaf(other, domain_hash("state value", b"value"))
        root = domain_hash("state leaf", leaf.key, leaf.value)
        verify_state(root, self.key, None, StateProof(leaf, ()))
        verify_state(root, b"other", b"value", StateProof(leaf, ()))
        far = next(name for name in (bytes([n]) for n in range(99)) if (domain_hash("state key", name)[0] ^ other[0]) >= 128)
        self.refused("elsewhere", lambda: verify_state(root, far, None, StateProof(leaf, (bytes(32),))))


class DocumentTest(Refusals):
    def setUp(self) -> None:
        self.light = Light(GENESIS)

    def test_the_golden_document_is_verified(self) -> None:
        proven = self.light.verify_receipt(DOCUMENT)
        self.assertEqual((proven.receipt.job, proven.header.height, proven.signed_stake), (b"j" * 32, 2, 10))
        self.assertEqual((proven.stood_at, proven.chain_time, proven.is_final), (1, 8_000, False))
        self.assertEqual(self.light.receipt_document(standing_proof()), DOCUMENT)

    def test_a_document_has_no_signer_more_than_it_needs(self) -> None:
        proof = document_proof()
        statement, headers = proof.finality.certificate.statement, proof.finality.headers
        of_all = replace(proof, finality=finality(headers, statement, [0, 1, 2, 3]))
        for part in ("time", "revocation", "receipt"):
            whole = replace(standing_proof(), **{part: replace(getattr(standing_proof(), part), finality=of_all.finality)})
            self.assertEqual(self.light.receipt_document(whole), DOCUMENT)
        of_few = replace(proof, finality=finality(headers, statement, [1, 2]))
        text = self.light.receipt_document(replace(standing_proof(), receipt=of_few))
        self.refused("no_quorum", lambda: self.light.verify_receipt(text))

    def test_no_character_can_be_changed_added_or_left_out(self) -> None:
        for at in range(len(DOCUMENT)):
            before, c, after = DOCUMENT[:at], DOCUMENT[at], DOCUMENT[at + 1 :]
            for tampered in (before + chr(ord(c) ^ 1) + after, before + " " + c + after, before + after):
                with self.assertRaises(NotVerified, msg=f"character {at}"):
                    self.light.verify_receipt(tampered)

    def test_what_is_no_document_is_refused(self) -> None:
        for text in ("", "[]", "{}", '{"proof": 7}', '{"proof": "zz"}', '{"proof": "00"}', "[" * 100_000):
            self.refused("no_document", self.light.verify_receipt, text)
        self.refused("document_too_long", lambda: self.light.verify_receipt(" " * (4 << 20) + DOCUMENT))

    def test_a_proof_of_absence_or_of_something_else_is_no_receipt(self) -> None:
        for value in (None, b"", b"\0" * 600):
            proof = replace(standing_proof(), receipt=replace(document_proof(), value=value))
            text = f'{{"proof": "{encode(proof).hex()}"}}'
            self.refused("no_receipt", self.light.verify_receipt, text)

    def test_a_receipt_stands_only_without_a_revocation(self) -> None:
        proof = standing_proof()
        hidden = replace(proof, revocation=proof.receipt)
        self.refused("wrong_key", self.light.verify_receipt, self.light.receipt_document(hidden))
        value = bytes([1]) + bytes(10)
        key_ = revocation_key(decode(JobReceipt, document_proof().value or b"", 10_000).job)
        leaf = StateLeaf(domain_hash("state key", key_), domain_hash("state value", value))
        root = domain_hash("state leaf", leaf.key, leaf.value)
        headers = of_header(proof.revocation.finality.headers[0], parent_state_root=root)
        revoked = replace(proof, revocation=ValueProof(value, StateProof(leaf, ()), headers))
        self.refused("not_standing", self.light.verify_receipt, self.light.receipt_document(revoked))

    def test_the_parts_of_a_proof_are_of_states_in_order(self) -> None:
        proof = standing_proof()
        for part, shift in (("time", 1), ("revocation", -1), ("revocation", 1), ("receipt", -1)):
            value = getattr(proof, part)
            header = value.finality.headers[0]
            moved = replace(value, finality=of_header(header, height=header.height + shift))
            text = self.light.receipt_document(replace(proof, **{part: moved}))
            self.refused("out_of_order", self.light.verify_receipt, text)

    def test_a_proof_shows_a_chain_time(self) -> None:
        self.assertEqual(CHAIN_KEY, bytes([1]))
        timeless = replace(standing_proof(), time=replace(standing_proof().time, value=None))
        text = f'{{"proof": "{encode(timeless).hex()}"}}'
        self.refused("no_time", self.light.verify_receipt, text)

    def test_another_genesis_does_not_take_it(self) -> None:
        genesis = decode(Genesis, GENESIS, 1 << 20)
        strong = replace(genesis.validators[0], stake=5)
        other = encode(replace(genesis, validators=(strong, *genesis.validators[1:])))
        self.refused("other_chain", lambda: Light(other).verify_receipt(DOCUMENT))


class GenesisTest(unittest.TestCase):
    def test_a_committee_is_sorted_and_its_stakes_are_bounded(self) -> None:
        validators = Genesis.from_bytes(GENESIS).validators
        bad: list[tuple[Validator, ...]] = [
            (),
            validators[::-1],
            validators[:1] * 2,
            (replace(validators[0], stake=0),),
            (replace(validators[0], stake=1 << 63),),
        ]
        for case in bad:
            with self.assertRaises(CodecError):
                Committee(case)
        self.assertEqual(Committee(validators[:1]).quorum, validators[0].stake - (validators[0].stake - 1) // 3)
        self.assertEqual(Committee(validators).quorum, 9)

    def test_weak_keys_and_epochs_of_nothing_are_refused(self) -> None:
        genesis = decode(Genesis, GENESIS, 1 << 20)
        weak = replace(genesis.validators[0], key=bytes([1]) + bytes(31))
        params = replace(genesis.params, epoch_length=0)
        for bad in (replace(genesis, validators=(weak,)), replace(genesis, params=params)):
            with self.assertRaises(CodecError):
                Genesis.from_bytes(encode(bad))

    def test_the_fixture_has_the_keys_that_sign_here(self) -> None:
        genesis = Genesis.from_bytes(GENESIS)
        self.assertEqual([member.key for member in genesis.validators], [secret.public for secret in members()])
        self.assertNotIn(key(9).public, [member.key for member in genesis.validators])


if __name__ == "__main__":
    unittest.main()
