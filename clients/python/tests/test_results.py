"""A fetched folder: whatever is missing, different or too many is refused."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridproof.amounts import format_square, parse_square
from gridproof.blocks import FinalityProof, Finalize, ReceiptProof, StateLeaf, Statement, StateProof, ValueProof
from gridproof.codec import decode, encode
from gridproof.errors import CodecError, GridproofError, NotVerified
from gridproof.hashing import domain_hash
from gridproof.light import CHAIN_KEY, Light, receipt_key
from gridproof.receipt import (
    ExitCode,
    InvalidModule,
    JobReceipt,
    Outcome,
    Outcomes,
    leaf,
    result_root,
    verify_outcomes,
)
from gridproof.results import OUTCOMES, RECEIPT, WORKLOAD, file_places, verify_folder
from gridproof.spec import BlobId, Output, TaskLimits, TaskSet, Workload
from tests.vectors import GENESIS, document_proof, signed

# The workload of the golden document and the files of its two tasks; the second did not write its first output.
WORKLOAD_VALUE = Workload(
    class_=2,
    module=BlobId.of(b"module"),
    arguments=(),
    environment={},
    stdin=None,
    inputs=(),
    outputs=(Output("log", "/out/log"), Output("table", "/out/table")),
    tasks=TaskSet(2),
    state=(),
    limits=TaskLimits(1_000, 65_536, 4_096),
    clock_start_ns=0,
    random_seed=bytes(32),
)
FILES = {
    "0/stdout": b"zero\n",
    "0/stderr": b"",
    "0/log": b"line",
    "0/table": b"1,2",
    "1/stdout": b"one!\n",
    "1/stderr": b"warning",
    "1/table": b"3,4",
}


def outcome(task: int) -> Outcome:
    def blob(name: str) -> BlobId:
        return BlobId.of(FILES[f"{task}/{name}"])

    log = blob("log") if task == 0 else None
    return Outcome(ExitCode(task), 500, blob("stdout"), blob("stderr"), (log, blob("table")))


OUTCOMES_VALUE = Outcomes((outcome(0), outcome(1)))


def golden_receipt() -> JobReceipt:
    value = document_proof().value
    assert value is not None
    return decode(JobReceipt, value, 10_000)


def document_of(receipt: JobReceipt) -> str:
    """A document of another receipt, alone in a state that a quorum made final."""
    shown = _alone(receipt_key(receipt.job), encode(receipt))
    # The revocation's place is the receipt's: in a state of one value each path is empty.
    absent = replace(shown, value=None)
    proof = ReceiptProof(_alone(CHAIN_KEY, (8_000).to_bytes(8, "little")), absent, shown)
    return Light(GENESIS).receipt_document(proof)


def _alone(key_bytes: bytes, value: bytes) -> ValueProof:
    """The proof of a value that is the only one in its state."""
    leaf_ = StateLeaf(domain_hash("state key", key_bytes), domain_hash("state value", value))
    root = domain_hash("state leaf", leaf_.key, leaf_.value)
    header = replace(document_proof().finality.headers[0], parent_state_root=root)
    certificate = signed(Statement(1, 7, Finalize(header.id)), header.chain_id, [0, 1, 2])
    return ValueProof(value, StateProof(leaf_, ()), FinalityProof((header,), certificate))


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.light = Light(GENESIS)
        self.write(golden_receipt(), OUTCOMES_VALUE, WORKLOAD_VALUE, FILES)

    def write(self, receipt: JobReceipt, outcomes: Outcomes, workload: Workload, files: dict[str, bytes]) -> None:
        (self.folder / RECEIPT).write_text(document_of(receipt), encoding="utf-8")
        (self.folder / OUTCOMES).write_bytes(encode(outcomes))
        (self.folder / WORKLOAD).write_bytes(encode(workload))
        for place, data in files.items():
            (self.folder / place).parent.mkdir(exist_ok=True)
            (self.folder / place).write_bytes(data)

    def refused(self, rule: str) -> None:
        with self.assertRaises(NotVerified) as caught:
            verify_folder(self.light, self.folder)
        self.assertEqual(caught.exception.rule, rule, caught.exception)

    def test_a_whole_folder_is_verified(self) -> None:
        self.assertEqual(WORKLOAD_VALUE.id, golden_receipt().workload)
        verified = verify_folder(self.light, self.folder)
        self.assertEqual((len(verified.files), verified.failed_tasks), (7, [1]))
        self.assertEqual(verified.proven.signed_stake, 10)
        (self.folder / "genesis.bin").write_bytes(GENESIS)
        verify_folder(self.light, self.folder)

    def test_each_file_is_there_and_is_the_one_that_the_task_wrote(self) -> None:
        for place, data in FILES.items():
            path = self.folder / place
            for changed in (data + b"!", data[:-1] + b"\xff", b"x" * 100_000):
                path.write_bytes(changed)
                self.refused("different")
            path.unlink()
            self.refused("missing")
            path.mkdir()
            self.refused("different")
            path.rmdir()
            path.write_bytes(data)

    def test_no_other_file_is_there(self) -> None:
        for place in ("extra", "0/extra", "1/log", "stdout"):
            (self.folder / place).write_bytes(b"")
            self.refused("extra")
            (self.folder / place).unlink()
        (self.folder / "2").mkdir()
        self.refused("extra")

    def test_outcomes_are_those_that_the_receipt_names(self) -> None:
        other = Outcomes((OUTCOMES_VALUE.tasks[0], replace(OUTCOMES_VALUE.tasks[1], fuel=501)))
        (self.folder / OUTCOMES).write_bytes(encode(other))
        self.refused("other_outcomes")
        (self.folder / OUTCOMES).unlink()
        with self.assertRaises(GridproofError):
            verify_folder(self.light, self.folder)

    def test_outcomes_lead_to_the_root_that_was_committed_to(self) -> None:
        receipt = golden_receipt()
        other = Outcomes((OUTCOMES_VALUE.tasks[0], replace(OUTCOMES_VALUE.tasks[1], fuel=501)))
        cases: list[tuple[str, bytes, dict[str, Any]]] = [
            ("result_root", encode(other), {}),
            ("outcome_count", encode(Outcomes((OUTCOMES_VALUE.tasks[0],))), {}),
            ("bad_outcomes", encode(OUTCOMES_VALUE) + b"\0", {}),
            ("result_root", encode(OUTCOMES_VALUE), {"salt": bytes(32)}),
            ("result_root", encode(OUTCOMES_VALUE), {"workload": bytes(32)}),
            ("result_root", encode(OUTCOMES_VALUE), {"input_root": bytes(32)}),
            ("other_fuel", encode(OUTCOMES_VALUE), {"fuel": 999}),
        ]
        for rule, data, changes in cases:
            with self.assertRaises(NotVerified) as caught:
                verify_outcomes(replace(receipt, outcomes=BlobId.of(data), **changes), data)
            self.assertEqual(caught.exception.rule, rule)

    def test_the_workload_is_the_one_that_was_run(self) -> None:
        path = self.folder / WORKLOAD
        for data in (encode(replace(WORKLOAD_VALUE, clock_start_ns=1)), encode(WORKLOAD_VALUE)[:-1], b""):
            path.write_bytes(data)
            self.refused("other_workload")
        path.write_bytes(b"\0" * 70_000)
        self.refused("too_long")

    def test_a_receipt_that_is_no_text_is_refused(self) -> None:
        (self.folder / RECEIPT).write_bytes(b"\xff\xfe")
        self.refused("no_document")


class Places(unittest.TestCase):
    def test_files_of_the_only_task_lie_in_the_folder_itself(self) -> None:
        one = Outcomes((OUTCOMES_VALUE.tasks[0],))
        flat = replace(WORKLOAD_VALUE, tasks=TaskSet(1))
        self.assertEqual(set(file_places(flat, one)), {"stdout", "stderr", "log", "table"})
        taken = replace(flat, outputs=(Output("receipt.json", "/out/a"), Output("table", "/out/b")))
        self.assertIn("0/receipt.json", file_places(taken, one))

    def test_a_named_task_keeps_its_index(self) -> None:
        some = replace(WORKLOAD_VALUE, tasks=TaskSet.of(9, [3, 8]))
        places = file_places(some, OUTCOMES_VALUE)
        self.assertEqual({place.split("/")[0] for place in places}, {"3", "8"})
        alone = replace(WORKLOAD_VALUE, tasks=TaskSet.of(9, [3]))
        self.assertIn("3/log", file_places(alone, Outcomes((OUTCOMES_VALUE.tasks[0],))))

    def test_names_do_not_lead_out_of_the_folder(self) -> None:
        for name in ("..", ".", "", "a/b", "a\\b", "/etc/passwd"):
            bad = replace(WORKLOAD_VALUE, outputs=(Output(name, "/out/a"),))
            with self.assertRaises(NotVerified) as caught:
                file_places(bad, OUTCOMES_VALUE)
            self.assertEqual(caught.exception.rule, "bad_name")

    def test_outputs_that_the_job_does_not_have_are_refused(self) -> None:
        few = replace(WORKLOAD_VALUE, outputs=WORKLOAD_VALUE.outputs[:1])
        with self.assertRaises(NotVerified) as caught:
            file_places(few, OUTCOMES_VALUE)
        self.assertEqual(caught.exception.rule, "output_count")

    def test_a_module_that_cannot_run_has_outcomes_like_any_other(self) -> None:
        invalid = Outcome(InvalidModule(), 0, BlobId.of(b""), BlobId.of(b""), (None, None))
        receipt = golden_receipt()
        leaves = [(task, leaf(receipt.workload, receipt.input_root, task, (), invalid)) for task in range(2)]
        data = encode(Outcomes((invalid, invalid)))
        receipt = replace(receipt, outcomes=BlobId.of(data), fuel=0, result_root=result_root(receipt.salt, leaves))
        self.assertEqual(verify_outcomes(receipt, data).tasks[1].exit, InvalidModule())


class Amounts(unittest.TestCase):
    def test_amounts_read_as_they_print(self) -> None:
        for text in ("0", "1", "0.25", "12.000000000000000001", "340282366920938463463.374607431768211455"):
            self.assertEqual(format_square(parse_square(text)), text)
        bad = ("", ".", "1.", ".5", "-1", "1e3", "1.0000000000000000001", "340282366920938463464", "1_0", "١", "1\n")
        for text in bad:
            with self.assertRaises(CodecError, msg=text):
                parse_square(text)


if __name__ == "__main__":
    unittest.main()
