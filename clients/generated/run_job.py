"""Runs the histogram job with a generated client: by HTTP, made of /v1/openapi.json, or by gRPC, made of node.proto.

The package `gridproof` of clients/python makes and signs transactions, splits blobs into chunks and verifies what was settled; all
that is asked of the node goes through the generated client.

    python run_job.py http|grpc FOLDER --made FOLDER --rpc HOST:PORT --genesis FILE --key KEY --out FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import gridproof
from gridproof.blocks import ValueProof
from gridproof.codec import decode
from gridproof.errors import NoAnswer, Refused
from gridproof.limits import MAX_PROOF_BYTES


class HttpClient:
    """What `gridproof` asks of a client, by the one that openapi-python-client makes."""

    def __init__(self, address: str) -> None:
        import gridproof_client

        self.url = f"http://{address}"
        self._client = gridproof_client.Client(base_url=self.url, timeout=40.0)

    def _ask(self, module: Any, *path: Any, **more: Any) -> Any:
        import httpx

        try:
            answer = module.sync_detailed(*path, client=self._client, **more)
        except httpx.HTTPError as error:
            raise NoAnswer(str(error)) from None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, self.url, answer.parsed.to_dict())
        return answer.parsed

    def status(self) -> dict[str, Any]:
        from gridproof_client.api.chain import get_status

        return self._ask(get_status).to_dict()

    def account(self, address: bytes) -> dict[str, Any]:
        from gridproof_client.api.chain import get_account

        return self._ask(get_account, address.hex()).to_dict()

    def estimate(self, spec: Any) -> dict[str, Any]:
        from gridproof_client.api.jobs import estimate_job
        from gridproof_client.models import JobSpec

        return self._ask(estimate_job, body=JobSpec.from_dict(spec.to_json())).to_dict()

    def submit(self, transaction: Any) -> dict[str, Any]:
        from gridproof_client.api.transactions import submit
        from gridproof_client.models import Submit

        return self._ask(submit, body=Submit(transaction=transaction.to_bytes().hex())).to_dict()

    def transaction(self, id_: bytes) -> dict[str, Any]:
        from gridproof_client.api.transactions import get_transaction

        return self._ask(get_transaction, id_.hex()).to_dict()

    def job(self, id_: bytes) -> dict[str, Any]:
        from gridproof_client.api.jobs import get_job

        return self._ask(get_job, id_.hex()).to_dict()

    def proof(self, key: str) -> ValueProof:
        from gridproof_client.api.proofs import get_proof

        return _proof(self._ask(get_proof, key).proof)

    def blob(self, blob: Any) -> dict[str, Any] | None:
        from gridproof_client.api.blobs import get_blob

        return _or_none(lambda: self._ask(get_blob, blob.hash.hex(), blob.length).to_dict())

    def blob_chunk(self, blob: Any, n: int) -> bytes:
        from gridproof_client.api.blobs import get_chunk

        return self._ask(get_chunk, blob.hash.hex(), blob.length, n).payload.read()

    def put_blob_chunk(self, job: bytes, blob: Any, n: int, encoded: bytes) -> dict[str, Any]:
        from gridproof_client.api.blobs import put_chunk
        from gridproof_client.types import File

        body = File(payload=BytesIO(encoded))
        return self._ask(put_chunk, blob.hash.hex(), blob.length, n, body=body, job=job.hex()).to_dict()

    def events(self, cursor: int | None = None, wait_ms: int = 0, limit: int = 1_000) -> dict[str, Any]:
        from gridproof_client.api.events import read_events

        if cursor is None:
            return self._ask(read_events).to_dict()
        return self._ask(read_events, cursor=cursor, wait_ms=wait_ms, limit=limit).to_dict()


class GrpcClient:
    """What `gridproof` asks of a client, by the stubs that protoc makes."""

    def __init__(self, address: str, made: Path) -> None:
        import grpc

        # The packages `gridproof` and `grpc` are there already: what was made joins them.
        gridproof.__path__.append(str(made / "gridproof"))
        grpc.__path__.append(str(made / "grpc"))
        from gridproof.v1 import node_pb2, node_pb2_grpc

        self.url = f"grpc://{address}"
        self._grpc, self._pb = grpc, node_pb2
        self._channel = grpc.insecure_channel(address)
        for name in ("Chain", "Jobs", "Transactions", "Proofs", "Blobs", "Events"):
            setattr(self, f"_{name.lower()}", getattr(node_pb2_grpc, f"{name}Stub")(self._channel))

    def _ask(self, method: Any, question: Any, wait_s: float = 0) -> Any:
        try:
            return method(question, timeout=10 + wait_s)
        except self._grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            details = trailers.get("gridproof-error-bin")
            if details is None:
                raise NoAnswer(str(error)) from None
            body = _shown(self._pb.Error.FromString(details))
            statuses = {"NOT_FOUND": 404, "UNAVAILABLE": 503}
            raise Refused(statuses.get(error.code().name, 400), self.url, body) from None

    def status(self) -> dict[str, Any]:
        return _shown(self._ask(self._chain.GetStatus, self._pb.GetStatusRequest()))

    def account(self, address: bytes) -> dict[str, Any]:
        return _shown(self._ask(self._chain.GetAccount, self._pb.GetAccountRequest(address=address.hex())))

    def estimate(self, spec: Any) -> dict[str, Any]:
        from google.protobuf import json_format

        question = json_format.ParseDict({"spec": spec.to_json()}, self._pb.EstimateJobRequest())
        return _shown(self._ask(self._jobs.EstimateJob, question))

    def submit(self, transaction: Any) -> dict[str, Any]:
        question = self._pb.SubmitRequest(transaction=transaction.to_bytes())
        return _shown(self._ask(self._transactions.Submit, question))

    def transaction(self, id_: bytes) -> dict[str, Any]:
        question = self._pb.GetTransactionRequest(id=id_.hex())
        return _shown(self._ask(self._transactions.GetTransaction, question))

    def job(self, id_: bytes) -> dict[str, Any]:
        return _shown(self._ask(self._jobs.GetJob, self._pb.GetJobRequest(id=id_.hex())))

    def proof(self, key: str) -> ValueProof:
        return _proof(self._ask(self._proofs.GetProof, self._pb.GetProofRequest(key=key)).proof)

    def blob(self, blob: Any) -> dict[str, Any] | None:
        question = self._pb.BlobId(hash=blob.hash.hex(), length=blob.length)
        return _or_none(lambda: _shown(self._ask(self._blobs.GetBlob, question)))

    def blob_chunk(self, blob: Any, n: int) -> bytes:
        question = self._pb.GetChunkRequest(hash=blob.hash.hex(), length=blob.length, chunk=n)
        return self._ask(self._blobs.GetChunk, question).data

    def put_blob_chunk(self, job: bytes, blob: Any, n: int, encoded: bytes) -> dict[str, Any]:
        name = {"hash": blob.hash.hex(), "length": blob.length, "chunk": n}
        return _shown(self._ask(self._blobs.PutChunk, self._pb.PutChunkRequest(**name, job=job.hex(), data=encoded)))

    def events(self, cursor: int | None = None, wait_ms: int = 0, limit: int = 1_000) -> dict[str, Any]:
        question = self._pb.ReadEventsRequest()
        if cursor is not None:
            question = self._pb.ReadEventsRequest(cursor=cursor, wait_ms=wait_ms, limit=limit)
        return _shown(self._ask(self._events.ReadEvents, question, wait_ms / 1_000))

    def check(self) -> None:
        """Asks what the job alone does not: health, a block, the stream of events, a refusal."""
        from grpc.health.v1 import health_pb2, health_pb2_grpc

        health = self._ask(health_pb2_grpc.HealthStub(self._channel).Check, health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING, health
        block = self._ask(self._chain.GetBlock, self._pb.GetBlockRequest(block="latest"))
        streamed = self._events.StreamEvents(self._pb.StreamEventsRequest(), timeout=30)
        event = next(event for event in streamed if event.event.type == "block")
        assert event.event.height > block.header.height, (event, block.header)
        streamed.cancel()
        try:
            self._ask(self._jobs.GetJob, self._pb.GetJobRequest(id="0" * 64))
        except Refused as refused:
            assert refused.code == "job_not_found" and refused.hint, refused


def _or_none(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Nothing where the node has heard of nothing."""
    try:
        return read()
    except Refused as refused:
        if refused.status != 404:
            raise
        return None


def _proof(digits: str) -> ValueProof:
    return decode(ValueProof, bytes.fromhex(digits), MAX_PROOF_BYTES)


def _shown(message: Any) -> dict[str, Any]:
    """A message as the dict that JSON gives, in which numbers are numbers."""
    shown: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            shown[field.name] = dict(value)
        elif isinstance(value, (str, int, bool, bytes)):
            shown[field.name] = value if not field.has_presence or message.HasField(field.name) else None
        elif hasattr(value, "DESCRIPTOR"):
            shown[field.name] = _shown(value) if message.HasField(field.name) else None
        else:
            shown[field.name] = [_shown(item) if hasattr(item, "DESCRIPTOR") else item for item in value]
    # The one list that says by its absence that there is no choice.
    if shown.get("task_indices") == []:
        del shown["task_indices"]
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("by", choices=["http", "grpc"])
    parser.add_argument("folder", type=Path, help="what examples/histogram/prepare made")
    parser.add_argument("--made", type=Path, required=True, help="what protoc made")
    parser.add_argument("--rpc", required=True, help="a validator's HOST:PORT")
    parser.add_argument("--genesis", type=Path, required=True, help="the genesis that you trust")
    parser.add_argument("--key", required=True, help="env:NAME, fd:NUMBER or the path of a key file")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for the results")
    options = parser.parse_args()

    light = gridproof.Light(options.genesis.read_bytes())
    key = gridproof.load_key(options.key)
    job = gridproof.Job(
        name=f"histogram by {options.by}",
        module=options.folder / "histogram.wasm",
        arguments=["20"],
        inputs={"/in/data": options.folder / "data.txt"},
        outputs={"hist": "/out/hist.csv"},
        tasks=4,
        min_verifiers=2,
        tasks_per_verifier=gridproof.ALL_TASKS,
    ).prepare()
    client: Any = HttpClient(options.rpc) if options.by == "http" else GrpcClient(options.rpc, options.made)
    job_id = gridproof.submit(client, key, job, light.chain_id, max_cost="10")
    print(f"job {job_id.hex()} by {options.by}", flush=True)
    gridproof.wait(client, job_id, timeout_s=300, on_stage=lambda stage: print(f"  {stage}", flush=True))
    verified = gridproof.fetch(client, light, job_id, options.out)
    if verified.workload != job.spec.workload:
        sys.exit("the chain settled another workload")
    if options.by == "grpc":
        client.check()
    print(gridproof.describe(verified))


if __name__ == "__main__":
    main()
