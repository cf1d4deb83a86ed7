"""Requests, failures and retries, against a node that answers what the test says."""

from __future__ import annotations

import json
import tempfile
import unittest
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from gridproof import jobs
from gridproof.chunks import BlobFile
from gridproof.client import Client
from gridproof.codec import decode, encode
from gridproof.errors import (
    BadAnswer,
    CodecError,
    GridproofError,
    JobFailed,
    NoAnswer,
    NotVerified,
    Refused,
    TransactionFailed,
    WaitedTooLong,
)
from gridproof.light import Light
from gridproof.limits import BLOB_CHUNK_BYTES
from gridproof.results import VerifiedJob
from gridproof.spec import BlobId, JobSpec, TaskLimits
from gridproof.transaction import SubmitJob, Transaction, Transfer
from gridproof.transport import RequestSigner
from tests.fake import Answer, FakeNode, Request, refusal
from tests.test_golden import SPEC
from tests.test_results import FILES, OUTCOMES_VALUE, WORKLOAD_VALUE, golden_receipt
from tests.vectors import GENESIS, document_proof, key, standing_proof

CHAIN = bytes([7]) * 32
NOBODY = "http://127.0.0.1:9"


def always(status: int, body: Any) -> Callable[[Request], Answer]:
    return lambda request: (status, body)


class Against(unittest.TestCase):
    def setUp(self) -> None:
        pause = mock.patch.object(jobs, "_PAUSE_S", 0.0)
        pause.start()
        self.addCleanup(pause.stop)

    def node(self, answer: Callable[[Request], Answer]) -> FakeNode:
        node = FakeNode(answer)
        self.addCleanup(node.close)
        return node

    def client(self, *urls: str) -> Client:
        client = Client(urls, timeout_s=20)
        self.addCleanup(client.close)
        return client


class Exchanges(Against):
    def test_the_next_endpoint_is_asked_where_one_gives_no_answer(self) -> None:
        good = self.node(lambda request: (200, {"height": 9}))
        hangs_up = self.node(lambda request: (200, None))
        busy = self.node(lambda request: (503, refusal("busy", True)))
        client = self.client(NOBODY, hangs_up.url, busy.url, good.url)
        self.assertEqual(client.status(), {"height": 9})
        client.status()
        self.assertEqual((client.url, len(good.asked), len(busy.asked)), (good.url, 2, 1))
        with self.assertRaises(NoAnswer):
            self.client(NOBODY, hangs_up.url).status()
        with self.assertRaises(Refused):
            self.client(busy.url).status()

    def test_a_refusal_is_final_and_says_why(self) -> None:
        node = self.node(lambda request: (404, refusal("job_not_found", hint="check the id")))
        with self.assertRaises(Refused) as caught:
            self.client(node.url, node.url).job(bytes(32))
        error = caught.exception
        self.assertEqual((error.status, error.code, error.hint, len(node.asked)), (404, "job_not_found", "check the id", 1))
        for body in (b"", b"[]", b"<html>"):
            node = self.node(always(404, body))
            with self.assertRaises(Refused):
                self.client(node.url).status()

    def test_a_kept_connection_that_was_closed_is_opened_again(self) -> None:
        closes = iter([False, True, False])
        node = self.node(lambda request: (200, None if next(closes) else {"ready": True}))
        client = self.client(node.url)
        self.assertEqual([client.status(), client.status()], [{"ready": True}] * 2)
        self.assertEqual(len(node.asked), 3)

    def test_answers_are_bounded_and_of_the_expected_kind(self) -> None:
        blob = BlobId.of(b"hello")
        long = self.node(lambda request: (200, b"x" * (400 << 10)))
        client = self.client(long.url)
        with self.assertRaises(BadAnswer):
            client.blob_chunk(blob, 0)
        for body in (b"no JSON", b"[]", b"[" * 100_000):
            other = self.node(always(200, body))
            with self.assertRaises(BadAnswer):
                self.client(other.url).status()
        with self.assertRaises(BadAnswer):
            self.client(self.node(lambda request: (200, b"\1\2")).url).proof("chain")

    def test_requests_are_signed_over_path_query_and_body(self) -> None:
        node = self.node(lambda request: (200, {"cursor": 1, "events": []}))
        client = self.client(node.url)
        signer = RequestSigner(key(3), CHAIN)
        client.sign_with(signer)
        client.events(5, limit=7)
        client.estimate(SPEC)
        for request in node.asked:
            header = request.headers["x-gridproof-signature"]
            expected = signer.header(request.method, request.path, request.body, int(header.split(".")[1]))
            self.assertEqual(header, expected)
        self.assertEqual(node.asked[0].path, "/v1/events?cursor=5&wait_ms=0&limit=7")

    def test_urls_are_those_of_endpoints(self) -> None:
        for url in ("", "127.0.0.1:80", "ftp://a", "http://", "http://a?b", "file:///etc/passwd"):
            with self.assertRaises(GridproofError):
                Client(url)
        with self.assertRaises(GridproofError):
            Client([])
        node = self.node(lambda request: (200, {}))
        self.client(node.url + "/gridproof/").status()
        self.assertEqual(node.asked[0].path, "/gridproof/v1/status")


class Submitting(Against):
    def chain(self, submitted: Callable[[Request], Answer], **more: Answer) -> FakeNode:
        answers: dict[str, Answer] = {
            "/v1/status": (200, {"chain_id": CHAIN.hex(), "height": 9, "min_fee": "0.001"}),
            f"/v1/accounts/{key(3).address.hex()}": (200, {"next_nonce": 5}),
            **more,
        }
        return self.node(lambda r: submitted(r) if r.path == "/v1/transactions" else answers[r.path])

    def hand_over(self, node: FakeNode) -> Transaction:
        return jobs.hand_over(self.client(node.url), key(3), Transfer(bytes(20), 1), CHAIN).transaction

    def test_nothing_is_signed_for_another_chain(self) -> None:
        node = self.chain(lambda request: (202, {}))
        with self.assertRaisesRegex(GridproofError, "nothing was signed"):
            jobs.hand_over(self.client(node.url), key(3), Transfer(bytes(20), 1), bytes(32))
        self.assertEqual([request.path for request in node.asked], ["/v1/status"])

    def test_whoever_was_overtaken_signs_anew(self) -> None:
        answers = iter([(422, refusal("transaction_refused", expected_nonce=6)), (202, {})])
        node = self.chain(lambda request: next(answers))
        found = self.hand_over(node)
        self.assertEqual((found.nonce, found.valid_until, found.fee), (5, 10_009, 10**15))
        always = self.chain(lambda request: (422, refusal("transaction_refused", expected_nonce=6)))
        with self.assertRaises(Refused):
            self.hand_over(always)
        self.assertEqual(len(always.asked), 4 * 3)

    def test_the_same_bytes_are_offered_until_there_is_room(self) -> None:
        full = (422, refusal("transaction_refused", True, retry_after_ms=1))
        answers = iter([full, full, (202, {})])
        node = self.chain(lambda request: next(answers))
        self.hand_over(node)
        bodies = [request.body for request in node.asked if request.method == "POST"]
        self.assertEqual((len(bodies), len(set(bodies))), (3, 1))

    def test_a_job_is_known_before_anything_is_sent(self) -> None:
        hangs_up = self.chain(lambda request: (202, None), **{"/v1/estimate": (200, {"total": "1"})})
        heard: list[bytes] = []
        with self.assertRaises(NoAnswer):
            jobs.submit(self.client(hangs_up.url), key(3), jobs.PreparedJob(SPEC, []), CHAIN, on_id=heard.append)
        sent = {request.body for request in hangs_up.asked if request.path == "/v1/transactions"}
        self.assertEqual(len(sent), 1, "the same bytes, however often")
        transaction = Transaction(CHAIN, key(3).public, 5, 10_009, 0, SubmitJob(SPEC))
        transaction = replace(transaction, fee=transaction.least_fee(10**15))
        self.assertEqual((heard, sent), ([transaction.job_id], {transaction.sign(key(3)).to_bytes()}))

    def test_a_transaction_that_got_no_answer_is_offered_again(self) -> None:
        answers: Iterator[Answer] = iter([(202, None), (202, None), (202, {})])
        node = self.chain(lambda request: next(answers))
        self.hand_over(node)
        self.assertEqual(len({request.body for request in node.asked if request.method == "POST"}), 1)

    def test_a_job_that_would_be_refused_or_too_dear_is_not_signed(self) -> None:
        for estimate, why in (({"refusal": {"message": "too cheap"}}, "too cheap"), ({"total": "3"}, "more than 2")):
            node = self.node(always(200, estimate))
            with self.assertRaisesRegex(GridproofError, why):
                jobs.submit(self.client(node.url), key(3), jobs.PreparedJob(SPEC, []), CHAIN, max_cost="2")
            body = node.asked[0].body
            self.assertEqual((len(node.asked), JobSpec.from_json(json.loads(body))), (1, SPEC))


class Preparing(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.module = Path(folder.name) / "module.wasm"
        self.module.write_bytes(b"module")

    def test_defaults_are_those_of_the_job_spec(self) -> None:
        job = jobs.Job("name", self.module, {"/in/b": self.module, "/in/a": self.module}, {"b": "/out/b", "a": "/out/a"}, tasks=100)
        prepared = job.prepare()
        spec, workload = prepared.spec, prepared.spec.workload
        self.assertEqual([item.target for item in workload.inputs], ["/in/a", "/in/b"])
        self.assertEqual([item.name for item in workload.outputs], ["a", "b"])
        self.assertEqual(workload.limits, TaskLimits(5_000_000_000, 256 << 20, (4 << 30) // 100))
        self.assertEqual((spec.price_cap, spec.verification.task_value_at_risk), (10 * 10**18, 10 * 10**18))
        self.assertEqual((workload.clock_start_ns, spec.max_wait_ms), (1_577_836_800 * 10**9, 600_000))
        self.assertEqual([file.id for file in prepared.files], [BlobId.of(b"module")])
        self.assertEqual(jobs.Job("name", self.module).prepare().spec.workload.limits.output_bytes, 64 << 20)

    def test_files_above_the_limits_are_refused(self) -> None:
        for limit, why in (("MAX_MODULE_BYTES", "the module has"), ("MAX_JOB_INPUT_BYTES", "together")):
            with mock.patch.object(jobs, limit, 6):
                jobs.Job("name", self.module).prepare()
            with mock.patch.object(jobs, limit, 5), self.assertRaisesRegex(GridproofError, why):
                jobs.Job("name", self.module).prepare()

    def test_what_cannot_be_encoded_is_refused(self) -> None:
        for job in (jobs.Job("x" * 65, self.module), jobs.Job("a", self.module, tasks=-1), jobs.Job("a", self.module, price="1e3")):
            with self.assertRaises(CodecError):
                job.prepare()


class Waiting(Against):
    def test_a_job_is_read_again_after_its_events(self) -> None:
        stages = iter(["pending", "assigned", "settled"])
        events = iter([[{"job": "ff"}], [{"job": "00" * 32}], [{"job": "00" * 32}]])

        def answer(request: Request) -> Answer:
            if request.path == "/v1/events":
                return 200, {"cursor": 1, "events": []}
            if request.path.startswith("/v1/events?"):
                return 200, {"cursor": 2, "events": next(events)}
            stage = next(stages)
            return 200, {"stage": stage, "live": stage != "settled", "receipt": {} if stage == "settled" else None}

        node, seen = self.node(answer), list[str]()
        view = jobs.wait(self.client(node.url), bytes(32), on_stage=seen.append)
        self.assertEqual((view["stage"], seen), ("settled", ["pending", "assigned", "settled"]))

    def test_a_lost_cursor_and_a_node_that_is_away_are_no_end(self) -> None:
        answers = iter(
            [
                (200, {"cursor": 1, "events": []}),
                (200, {"stage": "pending", "live": True}),
                (410, refusal("cursor_too_old")),
                (200, {"cursor": 9, "events": []}),
                (503, refusal("busy", True)),
                (200, {"cursor": 9, "events": []}),
                (200, {"stage": "failed", "live": False, "receipt": None, "failure": "no_partner"}),
            ]
        )
        node = self.node(lambda request: next(answers))
        with self.assertRaises(JobFailed) as caught:
            jobs.wait(self.client(node.url), bytes(32))
        self.assertEqual(caught.exception.reason, "no_partner")

    def test_a_wait_ends(self) -> None:
        def answer(request: Request) -> Answer:
            return 200, {"cursor": 1, "events": [], "stage": "pending", "live": True}

        with self.assertRaises(WaitedTooLong):
            jobs.wait(self.client(self.node(answer).url), bytes(32), timeout_s=0)

    def test_a_job_that_nobody_knows_is_no_wait(self) -> None:
        def answer(request: Request) -> Answer:
            return (200, {"cursor": 1, "events": []}) if request.path == "/v1/events" else (404, refusal("job_not_found"))

        with self.assertRaises(Refused):
            jobs.wait(self.client(self.node(answer).url), bytes(32))

    def test_a_reverted_transaction_says_which_rule_it_broke(self) -> None:
        failed = {"status": "included", "receipt": {"failure": {"code": "too_poor", "message": "no money"}}}
        node = self.node(lambda r: (200, {"cursor": 1, "events": []} if r.path == "/v1/events" else failed))
        with self.assertRaises(TransactionFailed) as caught:
            jobs.wait_transaction(self.client(node.url), bytes(32))
        self.assertEqual(caught.exception.code, "too_poor")


class Blobs(Against):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "data").write_bytes(b"a" * (BLOB_CHUNK_BYTES + 5))
        self.file = BlobFile(self.folder / "data")

    def test_what_a_node_lacks_is_uploaded(self) -> None:
        lacks = {0, 1}

        def answer(request: Request) -> Answer:
            if request.method == "PUT":
                n = int(request.path.split("/chunks/")[1].split("?")[0])
                self.assertEqual(request.body, self.file.encode_chunk(n))
                lacks.discard(n)
            elif lacks == {0, 1}:
                return 404, refusal("blob_not_found")
            return 200, {"chunks": 2, "complete": not lacks, "missing": sorted(lacks)}

        node = self.node(answer)
        client = self.client(node.url)
        jobs.upload(client, bytes(32), [self.file])
        jobs.upload(client, bytes(32), [self.file])
        self.assertEqual([request.method for request in node.asked], ["GET", "PUT", "PUT", "GET"])

    def test_an_upload_goes_on_at_another_node_with_what_that_one_lacks(self) -> None:
        broken = self.node(lambda r: (200, None if r.method == "PUT" else {"complete": False, "missing": [0, 1]}))
        puts: list[str] = []

        def answer(request: Request) -> Answer:
            if request.method == "PUT":
                puts.append(request.path)
            return 200, {"complete": bool(puts), "missing": [] if puts else [1]}

        jobs.upload(self.client(broken.url, self.node(answer).url), bytes(32), [self.file])
        self.assertEqual([path.split("/chunks/")[1][0] for path in puts], ["1"])

    def test_patience_ends(self) -> None:
        cases: list[tuple[type[GridproofError], int, Any]] = [
            (WaitedTooLong, 200, {"complete": False, "missing": []}),
            (Refused, 503, refusal("busy", True)),
            (NoAnswer, 200, None),
        ]
        with mock.patch.object(jobs, "_PATIENCE_S", 0.0):
            for expected, status, body in cases:
                node = self.node(always(status, body))
                with self.assertRaises(expected):
                    jobs.upload(self.client(node.url), bytes(32), [self.file])

    def test_a_job_past_its_inputs_needs_no_upload(self) -> None:
        def answer(stage: str) -> Callable[[Request], Answer]:
            def of(request: Request) -> Answer:
                if request.method == "PUT":
                    return 422, refusal("blob_not_named")
                found = {"complete": False, "missing": [0], "stage": stage}
                return 200, found

            return of

        jobs.upload(self.client(self.node(answer("assigned")).url), bytes(32), [self.file])
        with self.assertRaises(Refused):
            jobs.upload(self.client(self.node(answer("pending")).url), bytes(32), [self.file])


class Fetching(Against):
    """A node that has the golden job; each test lets it lie in one way."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "result"
        blobs = [encode(OUTCOMES_VALUE), *FILES.values()]
        self.blobs = {f"{BlobId.of(data).hash.hex()}/{len(data)}": data for data in blobs}
        self.workload: dict[str, Any] = WORKLOAD_VALUE.to_json()
        self.proof = encode(document_proof())
        self.others = {"chain": encode(standing_proof().time), "revocation": encode(standing_proof().revocation)}

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/v1/proofs/receipt/"):
            return 200, self.proof
        if request.path.startswith("/v1/proofs/"):
            return 200, self.others[request.path.removeprefix("/v1/proofs/").split("/")[0]]
        if request.path.startswith("/v1/jobs/"):
            return 200, {"spec": {"workload": self.workload}}
        return 200, self.blobs[request.path.removeprefix("/v1/blobs/").removesuffix("/chunks/0")]

    def fetch(self) -> VerifiedJob:
        client = self.client(self.node(self.answer).url)
        return jobs.fetch(client, Light(GENESIS), golden_receipt().job, self.folder)

    def refused(self, rule: str) -> None:
        with self.assertRaises(NotVerified) as caught:
            self.fetch()
        self.assertEqual(caught.exception.rule, rule)
        self.assertFalse((self.folder / "receipt.json").exists())

    def test_a_job_is_fetched_whole_and_into_an_empty_folder(self) -> None:
        verified = self.fetch()
        self.assertEqual(verified.workload, WORKLOAD_VALUE)
        for place, data in FILES.items():
            self.assertEqual((self.folder / place).read_bytes(), data)
        self.assertIn("1 failed", jobs.describe(verified))
        with self.assertRaisesRegex(GridproofError, "not empty"):
            self.fetch()

    def test_a_node_that_lies_of_a_file_is_noticed(self) -> None:
        for place in self.blobs:
            if self.blobs[place]:
                true, self.blobs[place] = self.blobs[place], b"!" * len(self.blobs[place])
                self.refused("chunk_hash")
                self.blobs[place] = true
                self.folder = self.folder.parent / place[:8]

    def test_a_list_of_outcomes_above_the_limit_is_not_fetched(self) -> None:
        with mock.patch.object(jobs, "MAX_OUTCOMES_BYTES", 10):
            self.refused("too_long")

    def test_a_node_that_lies_of_the_workload_is_noticed(self) -> None:
        self.workload["outputs"][0]["name"] = "other"
        self.refused("other_workload")

    def test_a_node_that_proves_another_receipt_is_noticed(self) -> None:
        client = self.client(self.node(self.answer).url)
        with self.assertRaises(NotVerified) as caught:
            jobs.fetch(client, Light(GENESIS), bytes(32), self.folder)
        self.assertEqual(caught.exception.rule, "other_job")

    def test_a_node_that_lies_of_the_proof_is_noticed(self) -> None:
        at = self.proof.index(decode(type(document_proof()), self.proof, 10_000).finality.certificate.signatures[0])
        self.proof = self.proof[:at] + bytes([self.proof[at] ^ 1]) + self.proof[at + 1 :]
        self.refused("signature")


if __name__ == "__main__":
    unittest.main()
