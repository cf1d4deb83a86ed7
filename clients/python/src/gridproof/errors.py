"""What can go wrong, as exceptions: all are a `GridproofError`."""

from __future__ import annotations

from typing import Any


class GridproofError(Exception):
    """Anything that this package refuses or cannot do."""


class CodecError(GridproofError):
    """Bytes that are not the canonical encoding of a value, or a value that has none."""


class KeyFileError(GridproofError):
    """A key that cannot be read. The message never holds the secret."""


class NotVerified(GridproofError):
    """Something that is not what the chain settled. `rule` names the check that refused it."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class NoAnswer(GridproofError):
    """No endpoint could be reached, or the connection broke. What was sent may have been heard."""


class BadAnswer(GridproofError):
    """An endpoint answered something that this interface does not know."""


class Refused(GridproofError):
    """An endpoint refused a request. The fields are those of the error body in docs/http.md."""

    def __init__(self, status: int, url: str, body: dict[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("code", "unknown"))
        self.hint = str(body.get("hint", ""))
        self.retryable = bool(body.get("retryable", False))
        self.retry_after_ms = _whole(body.get("retry_after_ms"))
        self.expected_nonce = _whole(body.get("expected_nonce"))
        message = body.get("message", "no reason given")
        super().__init__(f"{url} refuses with {status} {self.code}: {message}")


class TransactionFailed(GridproofError):
    """A final transaction whose action broke a rule of the chain: nothing changed but the fee."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class JobFailed(GridproofError):
    """A job that ended without a receipt. `reason` is the job's `failure` in docs/http.md."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(f"job {job} failed: {reason}")
        self.reason = reason


class WaitedTooLong(GridproofError):
    """What was waited for did not come in time. It may still come."""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
