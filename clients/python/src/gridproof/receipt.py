"""What stays of a settled job: its receipt and the outcomes of its tasks."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any

from gridproof.amounts import format_square
from gridproof.codec import U8, U16, U32, U64, U128, Address, Choice, Hash, Items, Tagged, decode, encode
from gridproof.errors import CodecError, NotVerified
from gridproof.hashing import domain_hash, merkle_root
from gridproof.limits import MAX_OUTCOMES_BYTES, MAX_OUTPUTS, MAX_STATE_OUTPUTS, MAX_TASKS, MAX_VERIFIERS
from gridproof.spec import BlobId, TaskSet, Workload


@dataclass(frozen=True)
class ReceiptVerifier:
    """A partner that checked the job: whether the beacon appointed it, and how many tasks it ran again."""

    partner: Address
    appointed: bool
    tasks: U32


@dataclass(frozen=True)
class Policy:
    """How a job was checked; fractions in units of 2^-64, amounts in base units."""

    expected_verifiers: U128
    tasks_per_verifier: U32
    expected_checks: U128
    detection: U128
    bond: U128
    verifier_bond: U128
    min_verifiers: U16
    verifier_fee: U128
    expected_announcements: U128


@dataclass(frozen=True)
class JobReceipt:
    """The receipt of a settled job, as it lies in state; amounts in base units, time in milliseconds since 1970."""

    job: Hash
    attempt: U16
    customer: Address
    workload: Hash
    input_root: Hash
    tasks: TaskSet
    state: Annotated[tuple[U8, ...], Items(MAX_STATE_OUTPUTS)]
    result_root: Hash
    salt: Hash
    outcomes: BlobId
    fuel: U64
    class_: U16
    primary: Address
    price: U128
    verifiers: Annotated[tuple[ReceiptVerifier, ...], Items(MAX_VERIFIERS)]
    verification_paid: U128
    burned: U128
    value_at_risk: U128
    task_value_at_risk: U128
    policy: Policy
    tasks_rerun: U32
    height: U64
    time: U64
    revocable_until: U64

    def to_json(self) -> dict[str, Any]:
        """The lines of the receipt document, in its order."""
        policy = self.policy
        return {
            "job": self.job.hex(),
            "attempt": self.attempt,
            "customer": self.customer.hex(),
            "workload": self.workload.hex(),
            "input_root": self.input_root.hex(),
            "tasks": len(self.tasks.indices),
            "result_root": self.result_root.hex(),
            "salt": self.salt.hex(),
            "outcomes": self.outcomes.to_json(),
            "fuel": self.fuel,
            "class": self.class_,
            "primary": self.primary.hex(),
            "price": format_square(self.price),
            "verifiers": [{"partner": v.partner.hex(), "appointed": v.appointed, "tasks": v.tasks} for v in self.verifiers],
            "verification_paid": format_square(self.verification_paid),
            "burned": format_square(self.burned),
            "value_at_risk": format_square(self.value_at_risk),
            "task_value_at_risk": format_square(self.task_value_at_risk),
            "policy": {
                "expected_verifiers": str(policy.expected_verifiers),
                "tasks_per_verifier": policy.tasks_per_verifier,
                "expected_checks": str(policy.expected_checks),
                "detection": str(policy.detection),
                "bond": format_square(policy.bond),
                "verifier_bond": format_square(policy.verifier_bond),
                "min_verifiers": policy.min_verifiers,
                "verifier_fee": format_square(policy.verifier_fee),
                "expected_announcements": str(policy.expected_announcements),
            },
            "tasks_rerun": self.tasks_rerun,
            "height": self.height,
            "time": self.time,
            "revocable_until": self.revocable_until,
        }


@dataclass(frozen=True)
class ExitCode:
    """The program returned, which is code 0, or called `proc_exit`."""

    code: U32


class Trap(enum.IntEnum):
    """Why a program trapped."""

    UNREACHABLE = 0
    OUT_OF_BOUNDS = 1
    ARITHMETIC = 2
    INDIRECT_CALL = 3
    STACK_OVERFLOW = 4
    OTHER = 5


@dataclass(frozen=True)
class Trapped:
    """The program trapped."""

    trap: Annotated[Trap, Choice(Trap)]


@dataclass(frozen=True)
class OutOfFuel:
    """The fuel limit was reached."""


@dataclass(frozen=True)
class OutOfOutput:
    """The output limit was reached."""


@dataclass(frozen=True)
class InvalidModule:
    """The module is not one that the class can run."""


_EXITS = ((0, ExitCode), (1, Trapped), (2, OutOfFuel), (3, OutOfOutput), (4, InvalidModule))
Exit = Annotated[ExitCode | Trapped | OutOfFuel | OutOfOutput | InvalidModule, Tagged(_EXITS)]


@dataclass(frozen=True)
class Outcome:
    """How a task ended; `outputs` in the workload's order, None where the file was not written."""

    exit: Exit
    fuel: U64
    stdout: BlobId
    stderr: BlobId
    outputs: Annotated[tuple[BlobId | None, ...], Items(MAX_OUTPUTS)]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all tasks of a job, in order."""

    tasks: Annotated[tuple[Outcome, ...], Items(MAX_TASKS)]


TaskState = Annotated[tuple[BlobId | None, ...], Items(MAX_STATE_OUTPUTS)]


def leaf(workload: bytes, input_root: bytes, task: int, before: tuple[BlobId | None, ...], outcome: Outcome) -> bytes:
    """The leaf of one task with the state that the one before it left: empty for the first, and where tasks are independent."""
    return domain_hash("task leaf", workload, _index(task), input_root, encode(before, TaskState), encode(outcome))


def linked_leaves(receipt: JobReceipt, outcomes: Outcomes) -> list[tuple[int, bytes]]:
    """The leaves of all tasks, each with its index and the state that the outcome before it names."""
    leaves: list[tuple[int, bytes]] = []
    before: tuple[BlobId | None, ...] = ()
    for index, outcome in zip(receipt.tasks.indices, outcomes.tasks):
        leaves.append((index, leaf(receipt.workload, receipt.input_root, index, before, outcome)))
        before = tuple(outcome.outputs[at] if at < len(outcome.outputs) else None for at in receipt.state)
    return leaves


def result_root(salt: bytes, leaves: list[tuple[int, bytes]]) -> bytes:
    """The root over the blinded leaves of all tasks, each with its index, to which the primary committed."""
    items = []
    for task, item in leaves:
        blind = domain_hash("leaf blind", salt, _index(task))
        items.append(domain_hash("blinded leaf", _index(task), item, blind))
    return merkle_root(items)


def _index(task: int) -> bytes:
    return task.to_bytes(4, "little")


def verify_outcomes(receipt: JobReceipt, data: bytes) -> Outcomes:
    """The outcomes that a receipt names, if these bytes are they (rules C3 and C5)."""
    found = BlobId.of(data)
    if found != receipt.outcomes:
        message = f"the list of outcomes is blob {found}, the receipt names {receipt.outcomes}"
        raise NotVerified("other_outcomes", message)
    try:
        outcomes = decode(Outcomes, data, MAX_OUTCOMES_BYTES)
    except CodecError as error:
        raise NotVerified("bad_outcomes", f"the list of outcomes does not decode: {error}") from None
    indices = receipt.tasks.indices
    if len(outcomes.tasks) != len(indices):
        message = f"the list has {len(outcomes.tasks)} outcomes, the job has {len(indices)} tasks"
        raise NotVerified("outcome_count", message)
    root = result_root(receipt.salt, linked_leaves(receipt, outcomes))
    if root != receipt.result_root:
        message = f"the outcomes lead to result root {root.hex()}, the receipt has {receipt.result_root.hex()}"
        raise NotVerified("result_root", message)
    used = sum(task.fuel for task in outcomes.tasks)
    if used != receipt.fuel:
        raise NotVerified("other_fuel", f"the outcomes count {used} fuel, the receipt has {receipt.fuel}")
    return outcomes


def check_workload(receipt: JobReceipt, workload: Workload) -> None:
    """Refuses another workload than the one that was run."""
    if workload.id != receipt.workload:
        message = f"the workload is {workload.id.hex()}, the receipt names {receipt.workload.hex()}"
        raise NotVerified("other_workload", message)
