"""The routes of a node's HTTP interface, as docs/http.md lists them. What a node claims is not checked here."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Sequence
from typing import Any

from gridproof.blocks import ValueProof
from gridproof.codec import decode
from gridproof.errors import BadAnswer, CodecError, Refused
from gridproof.limits import MAX_CHUNK_BODY_BYTES, MAX_GENESIS_BYTES, MAX_PROOF_BYTES, MAX_WAIT_MS
from gridproof.spec import BlobId, JobSpec
from gridproof.transaction import SignedTransaction
from gridproof.transport import JSON, RequestSigner, Transport

# How long a client waits for an answer unless told otherwise, in seconds.
DEFAULT_TIMEOUT_S = 10.0


class Client:
    """A client of one node, or of several: then the next one is asked when one does not answer.

    Answers in JSON are given as they came, as dicts. Not for several threads at once.
    """

    def __init__(self, urls: str | Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._transport = Transport([urls] if isinstance(urls, str) else list(urls), timeout_s)

    def sign_with(self, signer: RequestSigner) -> None:
        """Signs every request from now on."""
        self._transport.signer = signer

    @property
    def url(self) -> str:
        """The endpoint that is asked now."""
        return self._transport.url

    def close(self) -> None:
        """Closes the connection; the next request opens one."""
        self._transport.close()

    def __enter__(self) -> Client:  # noqa: PYI034 (Self is of Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def status(self) -> dict[str, Any]:
        """Where the node stands."""
        return self._get("/v1/status")

    def genesis(self) -> bytes:
        """The genesis that the node names; whether it is the right one is for the caller to know."""
        return self._transport.octets("/v1/genesis", MAX_GENESIS_BYTES)

    def block(self, block: str | int = "latest") -> dict[str, Any]:
        """A final block by height, id or as the newest."""
        return self._get(f"/v1/blocks/{block}")

    def account(self, address: bytes) -> dict[str, Any]:
        """Balance and nonces of an account; zeros for one that nobody ever paid."""
        return self._get(f"/v1/accounts/{address.hex()}")

    def partners(self, after: str | None = None) -> dict[str, Any]:
        """Active partners above an address, at most 1,000; `next` of the answer is `after` of the next call, if there are more."""
        return self._get("/v1/partners" if after is None else f"/v1/partners?after={after}")

    def partner(self, address: bytes) -> dict[str, Any]:
        """One partner."""
        return self._get(f"/v1/partners/{address.hex()}")

    def submit(self, transaction: SignedTransaction) -> dict[str, Any]:
        """Hands a transaction to the node's mempool. After an error it may be there all the same; the same again is no error."""
        return _object(self._transport.json("POST", "/v1/transactions", transaction.to_bytes()))

    def transaction(self, id_: bytes) -> dict[str, Any]:
        """Where a transaction stands."""
        return self._get(f"/v1/transactions/{id_.hex()}")

    def jobs(self, live: bool = True) -> list[dict[str, Any]]:
        """Live jobs, or those that ended lately."""
        found = self._get(f"/v1/jobs?live={'true' if live else 'false'}").get("jobs")
        return found if isinstance(found, list) else []

    def job(self, id_: bytes) -> dict[str, Any]:
        """A job that the chain still knows."""
        return self._get(f"/v1/jobs/{id_.hex()}")

    def estimate(self, spec: JobSpec) -> dict[str, Any]:
        """What a job would cost, and who could run it."""
        body = json.dumps(spec.to_json()).encode()
        return _object(self._transport.json("POST", "/v1/estimate", body, JSON))

    def proof(self, key: str) -> ValueProof:
        """The proof of a key such as `receipt/<id>`, not verified yet."""
        path = f"/v1/proofs/{urllib.parse.quote(key)}"
        try:
            return decode(ValueProof, self._transport.octets(path, MAX_PROOF_BYTES), MAX_PROOF_BYTES)
        except CodecError as error:
            raise BadAnswer(f"{self.url}{path} answers no proof: {error}") from None

    def blob(self, blob: BlobId) -> dict[str, Any] | None:
        """What the node has of a blob; None if it has heard of none of it."""
        try:
            return self._get(_blob_path(blob))
        except Refused as error:
            if error.status != 404:
                raise
            return None

    def blob_chunk(self, blob: BlobId, n: int) -> bytes:
        """A chunk with its proof, not verified yet."""
        return self._transport.octets(f"{_blob_path(blob)}/chunks/{n}", MAX_CHUNK_BODY_BYTES)

    def put_blob_chunk(self, job: bytes, blob: BlobId, n: int, encoded: bytes) -> dict[str, Any]:
        """Uploads a chunk of a blob that a job names. After an error the next endpoint is asked, which has chunks of its own."""
        path = f"{_blob_path(blob)}/chunks/{n}?job={job.hex()}"
        return _object(self._transport.json("PUT", path, encoded, moves=False))

    def events(self, cursor: int | None = None, wait_ms: int = 0, limit: int = 1_000) -> dict[str, Any]:
        """Events from a cursor on, waiting for the first; without a cursor the newest cursor at once."""
        if cursor is None:
            return self._get("/v1/events")
        wait_ms = min(wait_ms, MAX_WAIT_MS)
        path = f"/v1/events?cursor={cursor}&wait_ms={wait_ms}&limit={limit}"
        return _object(self._transport.json("GET", path, wait_s=wait_ms / 1_000, moves=False))

    def _get(self, path: str) -> dict[str, Any]:
        return _object(self._transport.json("GET", path))


def _blob_path(blob: BlobId) -> str:
    return f"/v1/blobs/{blob.hash.hex()}/{blob.length}"


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswer("the endpoint answers no JSON object")
    return value
