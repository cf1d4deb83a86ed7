"""A customer's side of a job: describe it, submit it, upload its inputs, wait, fetch and verify."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gridproof.amounts import SQUARE, format_square, parse_square
from gridproof.blocks import ReceiptProof
from gridproof.chunks import BlobFile, chunk_count, verify_chunk
from gridproof.client import Client
from gridproof.codec import encode
from gridproof.errors import (
    BadAnswer,
    GridproofError,
    JobFailed,
    NoAnswer,
    NotVerified,
    Refused,
    TransactionFailed,
    WaitedTooLong,
)
from gridproof.keys import SecretKey
from gridproof.light import Light, ProvenReceipt
from gridproof.limits import MAX_JOB_INPUT_BYTES, MAX_JOB_OUTPUT_BYTES, MAX_MODULE_BYTES, MAX_OUTCOMES_BYTES
from gridproof.receipt import check_workload, verify_outcomes
from gridproof.results import OUTCOMES, RECEIPT, WORKLOAD, VerifiedJob, file_places, verify_folder
from gridproof.spec import BlobId, Constraints, Input, JobSpec, Output, TaskLimits, TaskSet, Verification, Workload
from gridproof.transaction import Action, CancelJob, SignedTransaction, SubmitJob, Transaction

# The engine class that this package knows.
CLASS_WASM_V2 = 2
# How many heights a transaction made here stays valid.
VALIDITY_HEIGHTS = 10_000
# How often a transaction is signed anew because another one of the account took its nonce.
_NONCE_RACES = 4
# How long an endpoint may take to have what the network has, or to have room.
_PATIENCE_S = 60.0
_PAUSE_S = 0.3
_POLL_MS = 10_000


@dataclass
class Job:
    """A job in words; defaults and limits are those of docs/job-spec.md. Amounts are texts in SQUARE, such as `"0.4"`."""

    name: str
    # Path of the WebAssembly module.
    module: str | Path
    # Path of the file by where tasks see it: `{"/in/data": "data.txt"}`.
    inputs: Mapping[str, str | Path] = field(default_factory=dict)
    # Where tasks write, by the name under which it is fetched: `{"hist": "/out/hist.csv"}`.
    outputs: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str | Path | None = None
    tasks: int = 1
    fuel: int = 5_000_000_000
    memory_bytes: int = 256 << 20
    # None: 64 MiB, or 4 GiB over all tasks if that is less.
    output_bytes: int | None = None
    max_wait_ms: int = 600_000
    attributes: Mapping[str, str] = field(default_factory=dict)
    min_verifiers: int = 0
    # None lets the policy choose; `ALL_TASKS` means all.
    tasks_per_verifier: int | None = None
    value_at_risk: str | None = None
    task_value_at_risk: str | None = None
    confidence_ppm: int = 0
    # None: 0.1 per task.
    price: str | None = None
    clock_seconds: int = 1_577_836_800
    random_seed: bytes = bytes(32)

    def prepare(self) -> PreparedJob:
        """Hashes the files and makes the spec; the chain's own rules are checked when it is submitted."""
        files: dict[BlobId, BlobFile] = {}

        def blob(path: str | Path) -> BlobId:
            file = BlobFile(path)
            files.setdefault(file.id, file)
            return file.id

        price = self.tasks * SQUARE // 10 if self.price is None else parse_square(self.price)
        at_risk = price if self.value_at_risk is None else parse_square(self.value_at_risk)
        one_at_risk = at_risk if self.task_value_at_risk is None else parse_square(self.task_value_at_risk)
        output_bytes = self.output_bytes
        if output_bytes is None:
            output_bytes = min(64 << 20, MAX_JOB_OUTPUT_BYTES // max(self.tasks, 1))
        module = blob(self.module)
        if module.length > MAX_MODULE_BYTES:
            raise GridproofError(f"the module has {module.length} bytes; the limit is {MAX_MODULE_BYTES}")
        workload = Workload(
            class_=CLASS_WASM_V2,
            module=module,
            arguments=tuple(self.arguments),
            environment=dict(self.environment),
            stdin=None if self.stdin is None else blob(self.stdin),
            inputs=tuple(Input(blob(path), target) for target, path in sorted(self.inputs.items())),
            outputs=tuple(Output(name, path) for name, path in sorted(self.outputs.items())),
            tasks=TaskSet(self.tasks),
            state=(),
            limits=TaskLimits(self.fuel, self.memory_bytes, output_bytes),
            clock_start_ns=self.clock_seconds * 1_000_000_000,
            random_seed=self.random_seed,
        )
        if sum(found.length for found in workload.blobs()) > MAX_JOB_INPUT_BYTES:
            raise GridproofError(f"module and inputs together are above the limit of {MAX_JOB_INPUT_BYTES} bytes")
        verification = Verification(self.min_verifiers, self.tasks_per_verifier, at_risk, one_at_risk, self.confidence_ppm)
        constraints = Constraints(dict(self.attributes))
        spec = JobSpec(self.name, workload, constraints, verification, price, self.max_wait_ms)
        encode(spec)
        return PreparedJob(spec, list(files.values()))


@dataclass(frozen=True)
class PreparedJob:
    """What goes on chain, and the files that may have to be uploaded, each blob once."""

    spec: JobSpec
    files: list[BlobFile]


def sign(client: Client, key: SecretKey, action: Action, chain_id: bytes, fee: int | None = None) -> SignedTransaction:
    """Signs an action with the account's next nonce, for one chain: an endpoint of another is refused. Offers that fee, in base
    units, or the least that the network asks for."""
    status = client.status()
    if status.get("chain_id") != chain_id.hex():
        raise GridproofError(f"{client.url} serves chain {status.get('chain_id')}, not {chain_id.hex()}: nothing was signed")
    account = client.account(key.address)
    transaction = Transaction(
        chain_id=chain_id,
        sender=key.public,
        nonce=account["next_nonce"],
        valid_until=status["height"] + VALIDITY_HEIGHTS,
        fee=0,
        action=action,
    )
    least = transaction.least_fee(parse_square(status["min_fee"]))
    return replace(transaction, fee=least if fee is None else fee).sign(key)


def hand_over(
    client: Client,
    key: SecretKey,
    action: Action,
    chain_id: bytes,
    on_signed: Callable[[SignedTransaction], None] = lambda signed: None,
) -> SignedTransaction:
    """Signs an action and hands it to an endpoint. If another transaction took its nonce it is signed anew: what was refused is
    nowhere, so nothing is done twice. `on_signed` hears each transaction before it is sent; the last one counts."""
    for _ in range(_NONCE_RACES):
        signed = sign(client, key, action, chain_id)
        on_signed(signed)
        try:
            _offer(client, signed)
            return signed
        except Refused as error:
            if error.retryable or error.expected_nonce is None:
                raise
            refusal = error
    raise refusal


def _offer(client: Client, signed: SignedTransaction) -> None:
    """Offers the same bytes until there is room for them, and once more where no answer came."""
    end, unheard = time.monotonic() + _PATIENCE_S, 0
    while True:
        try:
            client.submit(signed)
            return
        except NoAnswer:
            unheard += 1
            if unheard > 1:
                raise
        except Refused as error:
            pause_s = (error.retry_after_ms or 0) / 1_000
            if not error.retryable or error.retry_after_ms is None or time.monotonic() + pause_s > end:
                raise
            time.sleep(pause_s)


def wait_transaction(client: Client, id_: bytes, timeout_s: float = 60.0) -> dict[str, Any]:
    """Waits until a transaction is final; one whose action broke a rule is `TransactionFailed`."""

    def read() -> dict[str, Any] | None:
        try:
            found = client.transaction(id_)
        except Refused as error:
            if error.status != 404:
                raise
            return None
        return found if found.get("status") == "included" else None

    found = _follow(client, read, "id", id_.hex(), timeout_s)
    failure = found["receipt"].get("failure")
    if failure is not None:
        raise TransactionFailed(str(failure.get("code")), str(failure.get("message")))
    return found


def submit(
    client: Client,
    key: SecretKey,
    job: PreparedJob,
    chain_id: bytes,
    max_cost: str | None = None,
    on_id: Callable[[bytes], None] = lambda job_id: None,
) -> bytes:
    """Submits a job and uploads its inputs; gives its id.

    `max_cost` refuses a job that would lock more SQUARE. `on_id` hears the job's id before anything is sent (and another one if the
    first was refused since its nonce was taken): after a failure from then on, `upload` and `wait` go on with the job as soon as
    `client.job` knows it, and nothing is paid twice.
    """
    estimate = client.estimate(job.spec)
    if estimate.get("refusal") is not None:
        raise GridproofError(f"the job would be refused: {estimate['refusal'].get('message')}")
    if max_cost is not None and parse_square(estimate["total"]) > parse_square(max_cost):
        raise GridproofError(f"the job would lock {estimate['total']} SQUARE, more than {max_cost}")
    action = SubmitJob(job.spec)
    signed = hand_over(client, key, action, chain_id, lambda signed: on_id(signed.transaction.job_id))
    job_id = signed.transaction.job_id
    wait_transaction(client, signed.transaction.id)
    upload(client, job_id, job.files)
    return job_id


def cancel(client: Client, key: SecretKey, job_id: bytes, chain_id: bytes) -> None:
    """Cancels a live job of the key's account: who has worked is paid, the rest is refunded."""
    signed = hand_over(client, key, CancelJob(job_id), chain_id)
    wait_transaction(client, signed.transaction.id)


def upload(client: Client, job_id: bytes, files: Sequence[BlobFile]) -> None:
    """Uploads what the node lacks of a job's inputs; may be repeated."""
    for file in files:
        _patiently(partial(_upload, client, job_id, file), f"the upload of {file.path}")


def _upload(client: Client, job_id: bytes, file: BlobFile) -> bool | None:
    """Sends what the node says it lacks; true once it has all."""
    status = client.blob(file.id) or {"complete": False, "missing": range(chunk_count(file.id))}
    try:
        for n in [] if status["complete"] else status["missing"]:
            status = client.put_blob_chunk(job_id, file.id, n, file.encode_chunk(n))
    except Refused as error:
        # Validators that hold the inputs already take them no more.
        if error.code == "blob_not_named" and client.job(job_id).get("stage") != "pending":
            return True
        raise
    return True if status["complete"] else None


def wait(
    client: Client, job_id: bytes, timeout_s: float = 3_600.0, on_stage: Callable[[str], None] = lambda stage: None
) -> dict[str, Any]:
    """Waits until a job is settled, by the endpoint's word; `fetch` verifies. One that failed is `JobFailed`."""
    shown = None

    def read() -> dict[str, Any] | None:
        nonlocal shown
        view = client.job(job_id)
        if view.get("stage") != shown:
            shown = view.get("stage")
            on_stage(str(shown))
        return view if not view["live"] else None

    view = _follow(client, read, "job", job_id.hex(), timeout_s)
    if view.get("receipt") is None:
        raise JobFailed(job_id.hex(), str(view.get("failure")))
    return view


def fetch(client: Client, light: Light, job_id: bytes, folder: str | Path) -> VerifiedJob:
    """Fetches the receipt with its proof, the outcomes and every file of a settled job into an empty folder, verifies all of it
    against the trusted genesis, and gives it. The folder is one that `gridproof job verify` takes too."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise GridproofError(f"{folder} is not empty: results of two jobs must not mix")
    document, proven = _receipt(client, light, job_id)
    workload = Workload.from_json(client.job(job_id)["spec"]["workload"])
    check_workload(proven.receipt, workload)
    (folder / WORKLOAD).write_bytes(encode(workload))
    if proven.receipt.outcomes.length > MAX_OUTCOMES_BYTES:
        raise NotVerified("too_long", "the receipt's list of outcomes is too long")
    _fetch_blob(client, proven.receipt.outcomes, folder / OUTCOMES)
    outcomes = verify_outcomes(proven.receipt, (folder / OUTCOMES).read_bytes())
    fetched: dict[BlobId, Path] = {}
    for place, blob in file_places(workload, outcomes).items():
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        if blob in fetched:
            path.write_bytes(fetched[blob].read_bytes())
        else:
            _fetch_blob(client, blob, path)
            fetched[blob] = path
    # Last: a folder with a receipt is a whole one.
    (folder / RECEIPT).write_text(document, encoding="utf-8")
    return verify_folder(light, folder)


def _receipt(client: Client, light: Light, job_id: bytes) -> tuple[str, ProvenReceipt]:
    """The receipt's document, verified. A node can prove a receipt one block after it is settled."""

    def read() -> tuple[str, ProvenReceipt] | None:
        # In the order in which their states must be.
        time_, revocation = client.proof("chain"), client.proof(f"revocation/{job_id.hex()}")
        proof = ReceiptProof(time_, revocation, client.proof(f"receipt/{job_id.hex()}"))
        if proof.receipt.value is None:
            return None
        document = light.receipt_document(proof)
        try:
            return document, light.verify_receipt(document)
        except NotVerified as error:
            # Another node behind the same address may be some blocks behind.
            if error.rule == "out_of_order":
                return None
            raise

    document, proven = _patiently(read, f"the receipt of job {job_id.hex()}")
    if proven.receipt.job != job_id:
        raise NotVerified("other_job", f"{client.url} proves another job's receipt")
    return document, proven


def _fetch_blob(client: Client, blob: BlobId, path: Path) -> None:
    """Fetches a blob chunk by chunk, each verified before it is written. The node may still be fetching it from others."""
    with path.open("xb") as file:
        for n in range(chunk_count(blob)):
            encoded = _patiently(partial(client.blob_chunk, blob, n), f"chunk {n} of blob {blob}")
            file.write(verify_chunk(blob, n, encoded))
        file.flush()
        os.fsync(file.fileno())


def _patiently(read: Callable[[], Any], what: str) -> Any:
    """Tries again until `read` gives something, where the endpoint cannot answer now or has not heard of it yet."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            found = read()
            if found is not None:
                return found
        except (NoAnswer, Refused) as error:
            if isinstance(error, Refused) and not error.retryable and error.status != 404:
                raise
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            raise WaitedTooLong(f"{what} did not come within {_PATIENCE_S:.0f} s")
        time.sleep(_PAUSE_S)


def _follow(client: Client, read: Callable[[], dict[str, Any] | None], name: str, value: str, timeout_s: float) -> dict[str, Any]:
    """Reads again whenever an event names what is watched, or a poll's time passes, until `read` gives something."""
    end = time.monotonic() + timeout_s
    cursor: int | None = None
    while True:
        try:
            # A cursor from before the reading, so that no event falls between them.
            if cursor is None:
                cursor = int(client.events()["cursor"])
            found = read()
            if found is not None:
                return found
            cursor = _next_event(client, cursor, name, value, end)
        except (NoAnswer, Refused) as error:
            lost = isinstance(error, Refused) and error.code in ("cursor_too_old", "cursor_ahead")
            if isinstance(error, Refused) and not error.retryable and not lost:
                raise
            cursor = None
            time.sleep(_PAUSE_S)
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswer(f"{client.url} answers what this interface does not know: {error!r}") from None
        if time.monotonic() > end:
            raise WaitedTooLong(f"{name} {value} is not final after {timeout_s:.0f} s; it may still become so")


def _next_event(client: Client, cursor: int, name: str, value: str, end: float) -> int:
    """Reads events until one names the value, or a poll's time passes; gives the cursor to go on from."""
    left_ms = max(0, min(_POLL_MS, int((end - time.monotonic()) * 1_000)))
    until = time.monotonic() + left_ms / 1_000
    while True:
        page = client.events(cursor, max(0, int((until - time.monotonic()) * 1_000)))
        cursor = int(page["cursor"])
        if not page["events"] or any(event.get(name) == value for event in page["events"]):
            return cursor
        if time.monotonic() >= until:
            return cursor


def describe(verified: VerifiedJob) -> str:
    """What a verified job says, in a few lines."""
    receipt = verified.proven.receipt
    paid = receipt.price + receipt.verification_paid
    return (
        f"job {receipt.job.hex()}: {len(receipt.tasks.indices)} tasks, {len(verified.failed_tasks)} failed, {len(verified.files)} files\n"
        f"checked by {len(receipt.verifiers)} verifiers, who ran {receipt.tasks_rerun} tasks again; {receipt.fuel} fuel used\n"
        f"paid {format_square(paid)} SQUARE, burned {format_square(receipt.burned)}\n"
        f"settled at height {receipt.height}, shown by header {verified.proven.header.height}, which validators with a "
        f"stake of {verified.proven.signed_stake} made final\n"
        f"{_standing(verified.proven)}"
    )


def _standing(proven: ProvenReceipt) -> str:
    if proven.is_final:
        return f"stands for good: nobody could challenge it any more at height {proven.stood_at}"
    left_s = (proven.receipt.revocable_until - proven.chain_time) / 1_000
    return f"stood at height {proven.stood_at}; it can be challenged for {left_s:.0f} s of chain time from there on"
