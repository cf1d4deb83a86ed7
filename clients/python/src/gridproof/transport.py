"""One HTTP exchange: bounded answers, errors by their cause, signed requests, the next endpoint where one does not answer."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

from gridproof.codec import U64, Hash, encode
from gridproof.errors import BadAnswer, GridproofError, NoAnswer, Refused
from gridproof.hashing import domain_hash, signing_hash
from gridproof.keys import SecretKey
from gridproof.limits import MAX_JSON_BYTES
from gridproof.spec import Argument

JSON = "application/json"
BYTES = "application/octet-stream"


@dataclass(frozen=True)
class SignedRequest:
    method: Argument
    target: Argument
    time: U64
    body: Hash


@dataclass(frozen=True)
class RequestSigner:
    """Signs requests with an account's key: a node then has room for a customer of a live job when it turns strangers away."""

    key: SecretKey
    chain_id: bytes

    def header(self, method: str, target: str, body: bytes, now_ms: int) -> str:
        """The value of `x-gridproof-signature`; `target` is the path with its query."""
        digest = domain_hash("request body", body)
        request = encode(SignedRequest(method, target, now_ms, digest))
        signature = self.key.sign(signing_hash("sign request", self.chain_id, request))
        return f"{self.key.public.hex()}.{now_ms}.{digest.hex()}.{signature.hex()}"


class Transport:
    """Connections to one or more endpoints, of which one is asked as long as it answers. Not for several threads at once."""

    def __init__(self, urls: list[str], timeout_s: float) -> None:
        if not urls:
            raise GridproofError("give at least one URL, such as http://127.0.0.1:26600")
        self._bases = [_base(url) for url in urls]
        self._at = 0
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self.signer: RequestSigner | None = None

    @property
    def url(self) -> str:
        """The endpoint that is asked now."""
        return self._bases[self._at].geturl()

    def close(self) -> None:
        """Closes the connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def json(
        self, method: str, path: str, body: bytes | None = None, content: str = BYTES, wait_s: float = 0, moves: bool = True
    ) -> Any:
        """An answer in JSON."""
        data = self.exchange(method, path, body, content, JSON, MAX_JSON_BYTES, wait_s, moves)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise BadAnswer(f"{self.url}{path} does not answer JSON") from None

    def octets(self, path: str, most: int) -> bytes:
        """Canonical bytes, at most `most`."""
        return self.exchange("GET", path, None, BYTES, BYTES, most)

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        content: str,
        accept: str,
        most: int,
        wait_s: float = 0,
        moves: bool = True,
    ) -> bytes:
        """The body of a successful answer. Everything that is asked here may be asked twice.

        Where an endpoint gives none the next one is asked the same; without `moves`, the caller is told, and the next one is
        asked from then on.
        """
        error: GridproofError | None = None
        for _ in self._bases:
            try:
                return self._ask(method, path, body, content, accept, most, wait_s)
            except (NoAnswer, Refused) as failure:
                if isinstance(failure, Refused) and failure.status != 503:
                    raise
                error = failure
                self.close()
                self._at = (self._at + 1) % len(self._bases)
            if not moves:
                break
        assert error is not None
        raise error

    def _ask(self, method: str, path: str, body: bytes | None, content: str, accept: str, most: int, wait_s: float) -> bytes:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content
        if self.signer is not None:
            now_ms = time.time_ns() // 1_000_000
            headers["x-gridproof-signature"] = self.signer.header(method, path, body or b"", now_ms)
        # A kept connection may have been closed at the other end; a new one is not tried twice.
        fresh = self._connection is None
        while True:
            try:
                status, data = self._send(method, path, body, headers, most, self._timeout_s + wait_s)
                break
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh or isinstance(error, TimeoutError):
                    raise NoAnswer(f"{self.url} does not answer {method} {path}: {error}") from None
                fresh = True
        if 200 <= status < 300:
            if len(data) > most:
                raise BadAnswer(f"{self.url}{path} answers more than {most} bytes")
            return data
        raise Refused(status, self.url, _error_body(data))

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int, timeout_s: float
    ) -> tuple[int, bytes]:
        base = self._bases[self._at]
        if self._connection is None:
            kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(base.hostname or "", base.port, timeout=timeout_s)
        connection = self._connection
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request(method, base.path + path, body, headers)
        response = connection.getresponse()
        data = response.read(most + 1)
        if not response.isclosed():
            # There is more than is read: the connection cannot be used again.
            self.close()
        return response.status, data


def _base(url: str) -> urllib.parse.SplitResult:
    base = urllib.parse.urlsplit(url.rstrip("/"))
    if base.scheme not in ("http", "https") or not base.hostname or base.query or base.fragment:
        raise GridproofError(f"{url!r} is no URL of an endpoint, such as http://127.0.0.1:26600")
    return base


def _error_body(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
