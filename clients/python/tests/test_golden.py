"""Encodings, ids and signatures are those of the project's golden vectors."""

from __future__ import annotations

import unittest
from typing import Annotated, Any

from gridproof.blocks import Certificate, Genesis, Header, ValueProof
from gridproof.codec import U32, U64, Choice, Hash, Items, Raw, Reader, Text, codec_of, decode, encode
from gridproof.errors import CodecError
from gridproof.hashing import domain_hash, merkle_root
from gridproof.light import receipt_key
from gridproof.receipt import Exit, ExitCode, JobReceipt, Outcomes, Trap, Trapped, leaf, result_root
from gridproof.spec import (
    ALL_TASKS,
    BlobId,
    Constraints,
    Input,
    JobSpec,
    Output,
    TaskLimits,
    TaskSet,
    Verification,
    Workload,
)
from gridproof.transaction import Action, CancelJob, SubmitJob, Transaction, Transfer
from gridproof.transport import RequestSigner
from tests.vectors import ROOT, all_golden, golden, key, record

SQUARE = 10**18


def filled(n: int) -> bytes:
    return bytes([n]) * 32


WORKLOAD = Workload(
    class_=2,
    module=BlobId.of(b"module"),
    arguments=("--bins", "8"),
    environment={"LANG": "C"},
    stdin=None,
    inputs=(Input(BlobId.of(b"data"), "/in/data"),),
    outputs=(Output("hist", "/out/hist.csv"),),
    tasks=TaskSet.of(9, [0, 4, 8]),
    state=(0,),
    limits=TaskLimits(1 << 30, 1 << 26, 1 << 20),
    clock_start_ns=1,
    random_seed=filled(4),
)
SPEC = JobSpec(
    name="golden",
    workload=WORKLOAD,
    constraints=Constraints({"location": "sion"}),
    verification=Verification(2, ALL_TASKS, SQUARE, SQUARE, 950_000),
    price_cap=SQUARE,
    max_wait_ms=78,
)


def transaction(action: Any) -> Transaction:
    return Transaction(filled(1), key(4).public, 3, 100, 9, action)


class Golden(unittest.TestCase):
    def comes_back(self, hint: Any, data: bytes) -> Any:
        """The value of a vector, whose bytes it gives again; no byte fewer or more is one."""
        value = decode(hint, data, len(data))
        self.assertEqual(encode(value, hint), data)
        for other in (data + b"\0", data[:-1]):
            with self.assertRaises(CodecError):
                decode(hint, other, len(other))
        return value

    def test_types_are_those_of_the_vectors(self) -> None:
        genesis = self.comes_back(Genesis, golden("genesis"))
        self.assertEqual(genesis.chain_id, golden("chain_id"))
        self.assertEqual(self.comes_back(Header, golden("header")).id, golden("block_id"))
        for name in ("nullification", "finalization"):
            self.comes_back(Certificate, golden(name))
        self.comes_back(ValueProof, golden("value_proof"))
        self.comes_back(JobReceipt, record("job_receipt"))
        exits = [self.comes_back(Exit, data) for data in all_golden("exit")]
        self.assertEqual(exits[1], ExitCode(0xFFFFFFFF))
        self.assertEqual(exits[2:8], [Trapped(trap) for trap in Trap])
        self.assertEqual(len(set(exits)), 11)

    def test_a_certificate_is_made_of_the_signatures_of_its_signers(self) -> None:
        certificate = decode(Certificate, golden("finalization"), 1_000)
        message = certificate.statement.signing_hash(filled(1))
        self.assertEqual(certificate.signers, [1, 2, 3])
        self.assertEqual(certificate.signatures, tuple(key(n).sign(message) for n in (1, 2, 3)))

    def test_transactions_have_the_same_bytes_ids_and_signatures(self) -> None:
        transfer = transaction(Transfer(key(6).address, SQUARE))
        self.assertEqual(transfer.id, golden("transaction_id"))
        self.assertEqual(transfer.job_id, golden("job_id"))
        self.assertEqual(transaction(SubmitJob(SPEC)).sign(key(4)).to_bytes(), golden("action_submit"))
        self.assertEqual(transaction(CancelJob(filled(7))).sign(key(4)).to_bytes(), golden("action_cancel"))

    def test_the_least_fee_follows_gas_and_bytes(self) -> None:
        unit = 32_768
        self.assertEqual(transaction(Transfer(filled(1)[:20], 1)).least_fee(unit), unit)
        for action, gas in ((CancelJob(filled(7)), 65_536), (SubmitJob(SPEC), 262_144)):
            made = transaction(action)
            length = len(made.sign(key(4)).to_bytes())
            self.assertEqual(made.least_fee(unit), 4_096 + gas + 33 * length)
            self.assertEqual(made.least_fee(1), -(-(4_096 + gas + 33 * length) // unit))

    def test_workloads_and_outcomes_have_the_same_hashes(self) -> None:
        self.assertEqual(WORKLOAD.id, golden("workload_id"))
        self.assertEqual(WORKLOAD.input_root, golden("input_root"))
        outcome = self.comes_back(Outcomes, golden("outcomes")).tasks[0]
        before = (BlobId.of(b"state"), None)
        leaves = [(task, leaf(WORKLOAD.id, WORKLOAD.input_root, task, before, outcome)) for task in range(3)]
        self.assertEqual(leaves[2][1], golden("leaf_2"))
        self.assertEqual(result_root(filled(8), leaves), golden("result_root_of"))
        self.assertEqual(merkle_root([]), golden("merkle_root_0"))
        self.assertEqual(merkle_root([filled(1), filled(2), filled(3)]), golden("merkle_root_3"))

    def test_state_keys_have_the_same_bytes_and_places(self) -> None:
        key_bytes = receipt_key(filled(7))
        vectors = list(zip(all_golden("state_key"), all_golden("state_key_hash")))
        self.assertIn((key_bytes, domain_hash("state key", key_bytes)), vectors)

    def test_json_gives_the_spec_back(self) -> None:
        self.assertEqual(JobSpec.from_json(SPEC.to_json()), SPEC)

    def test_a_request_is_signed_as_the_node_expects(self) -> None:
        # The same request is in docs/http.md and in rpc/src/signature.rs.
        header = RequestSigner(key(3), filled(7)).header("POST", "/v1/estimate?a=b", b"body", 5)
        document = (ROOT / "docs/http.md").read_text(encoding="utf-8")
        self.assertIn(f"\nx-gridproof-signature: {header}\n", document)


class Canonical(unittest.TestCase):
    def test_no_value_has_two_encodings(self) -> None:
        environment = encode(WORKLOAD).index(b"LANG")
        self.assertGreater(environment, 0)
        two = Workload(**{**vars(WORKLOAD), "environment": {"A": "1", "B": "2"}})
        data = encode(two)
        entry_a, entry_b = b"\1\0\0\0A\1\0\0\x001", b"\1\0\0\0B\1\0\0\x002"
        self.assertIn(entry_a + entry_b, data)
        for swapped in (entry_b + entry_a, entry_a + entry_a):
            with self.assertRaises(CodecError):
                decode(Workload, data.replace(entry_a + entry_b, swapped), 10_000)

    def test_lengths_are_bounded_before_items_are_read(self) -> None:
        with self.assertRaises(CodecError):
            decode(Outcomes, (1_025).to_bytes(4, "little"), 100)
        with self.assertRaises(CodecError):
            decode(Outcomes, b"\xff" * 4, 100)

    def test_bytes_that_encode_nothing_are_refused(self) -> None:
        pair = (1).to_bytes(4, "little") * 2
        cases: list[tuple[Any, bytes]] = [
            (bool, b"\2"),
            (U64 | None, b"\2" + bytes(8)),
            (U64, bytes(7)),
            (Annotated[tuple[U32, ...], Items(1)], (2).to_bytes(4, "little") + pair),
            (Annotated[tuple[U32, ...], Items(2, ordered=True)], (2).to_bytes(4, "little") + pair),
            (Annotated[bytes, Raw(1)], b"\2\0\0\0ab"),
            (Annotated[str, Text(1)], b"\2\0\0\0ab"),
            (Annotated[Trap, Choice(Trap)], b"\6"),
            (Exit, b"\5"),
        ]
        for hint, data in cases:
            with self.assertRaises(CodecError, msg=f"{hint}"):
                decode(hint, data, 100)
        with self.assertRaises(CodecError):
            Reader(b"ab").take(3)
        with self.assertRaises(CodecError):
            decode(U64, bytes(8), 7)

    def test_values_of_another_type_or_size_are_refused(self) -> None:
        cases: list[tuple[Any, Any]] = [
            (bool, 1),
            (Hash, bytes(31)),
            (Hash, "00" * 16),
            (Annotated[bytes, Raw(1)], b"ab"),
            (Annotated[bytes, Raw(9)], "ab"),
            (Annotated[str, Text(9)], b"ab"),
            (Annotated[Trap, Choice(Trap)], 1),
            (Annotated[tuple[U32, ...], Items(1)], (1, 2)),
            (Annotated[tuple[U32, ...], Items(2, ordered=True)], (2, 1)),
            (Annotated[dict[U32, U32], Items(1)], {1: 1, 2: 2}),
            (BlobId, WORKLOAD.limits),
            (Exit, Trap.OTHER),
        ]
        for hint, value in cases:
            with self.assertRaises(CodecError, msg=f"{hint}"):
                encode(value, hint)
        with self.assertRaises(TypeError):
            codec_of(float)

    def test_texts_hold_no_control_characters(self) -> None:
        for bad in ("a\0", "a\nb", "\x1b[31mred", "\x7f", "\x85", "x" * 65):
            with self.assertRaises(CodecError):
                encode(Output(bad, "/out/a"))
        encode(Output("Zürich, été – 東京", "/out/a"))
        with self.assertRaises(CodecError):
            decode(Output, b"\1\0\0\0\xff\1\0\0\0a", 100)

    def test_a_set_of_signers_has_no_zero_byte_at_its_end(self) -> None:
        data = golden("finalization")
        before, bits, after = data[:49], b"\1\0\0\0\x0e", data[54:]
        self.assertEqual(before + bits + after, data)
        with self.assertRaises(CodecError):
            decode(Certificate, before + b"\2\0\0\0\x0e\0" + after, 1_000)

    def test_numbers_fit_their_width(self) -> None:
        for bad in (-1, 1 << 64, True, 1.0, "1"):
            with self.assertRaises(CodecError):
                encode(bad, U64)

    def test_a_task_set_has_one_form(self) -> None:
        named = TaskSet.of(100, [7, 27])
        self.assertEqual((named.indices, decode(TaskSet, encode(named), 100)), ([7, 27], named))
        self.assertEqual(TaskSet.of(3, [0, 1, 2]), TaskSet(3))
        for array, bits in ((9, b""), (9, b"\0"), (9, b"\1\0"), (9, b"\0\2"), (9, b"\xff\1"), (1_025, b"\1")):
            data = array.to_bytes(4, "little") + b"\1" + len(bits).to_bytes(4, "little") + bits
            with self.assertRaises(CodecError):
                decode(TaskSet, data, 100)
        for indices in ([], [3, 3], [4, 3], [9], [-1]):
            with self.assertRaises(CodecError):
                TaskSet.of(9, indices)

    def test_an_unknown_action_is_refused(self) -> None:
        with self.assertRaises(CodecError):
            codec_of(Action).write(WORKLOAD, bytearray())
        with self.assertRaises(CodecError):
            decode(Transaction, encode(transaction(CancelJob(filled(7)))).replace(b"\5" + filled(7), b"\x63" + filled(7)), 1_000)


if __name__ == "__main__":
    unittest.main()
