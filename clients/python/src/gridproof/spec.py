"""A job as its customer signs it: canonical bytes and the JSON form of the interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from blake3 import blake3

from gridproof.amounts import format_square, parse_square
from gridproof.codec import U8, U16, U32, U64, U128, Hash, Items, Raw, Text, encode
from gridproof.errors import BadAnswer, CodecError
from gridproof.hashing import domain_hash
from gridproof.limits import (
    MAX_ARGUMENT_BYTES,
    MAX_ARGUMENTS,
    MAX_ATTRIBUTES,
    MAX_INPUTS,
    MAX_NAME_BYTES,
    MAX_OUTPUTS,
    MAX_PATH_BYTES,
    MAX_STATE_OUTPUTS,
    MAX_TASKS,
)

Name = Annotated[str, Text(MAX_NAME_BYTES)]
GuestPath = Annotated[str, Text(MAX_PATH_BYTES)]
# A program argument, or an environment key or value; it may hold line breaks.
Argument = Annotated[str, Text(MAX_ARGUMENT_BYTES, lines=True)]

# Stands for "all tasks" in `Verification.tasks_per_verifier`.
ALL_TASKS = 0xFFFFFFFF


@dataclass(frozen=True, order=True)
class BlobId:
    """Names bytes: their plain BLAKE3 hash and their length."""

    hash: Hash
    length: U64

    @classmethod
    def of(cls, data: bytes) -> BlobId:
        return cls(blake3(data).digest(), len(data))

    def __str__(self) -> str:
        return f"{self.hash.hex()} of {self.length} bytes"

    def to_json(self) -> dict[str, Any]:
        return {"hash": self.hash.hex(), "length": self.length}

    @classmethod
    def from_json(cls, value: Any) -> BlobId:
        return cls(hash_from_json(value["hash"]), value["length"])


@dataclass(frozen=True)
class Input:
    """A file that every task can read."""

    blob: BlobId
    target: GuestPath


@dataclass(frozen=True)
class Output:
    """A file that every task may write, below `/out/`."""

    name: Name
    path: GuestPath


@dataclass(frozen=True)
class TaskLimits:
    """Limits of one task: fuel, bytes of linear memory, bytes written to outputs, stdout and stderr together."""

    fuel: U64
    memory_bytes: U64
    output_bytes: U64


@dataclass(frozen=True)
class TaskSet:
    """The tasks that a job runs: all of an array, or those of it that have a bit in `named`, lowest bit of the first byte first.

    `named` has no zero byte at its end, no bit beyond the array, and is None where every task is run.
    """

    array: U32
    named: Annotated[bytes, Raw(MAX_TASKS // 8)] | None = None

    def __post_init__(self) -> None:
        if self.named is None:
            return
        bits = int.from_bytes(self.named, "little")
        ends_well = self.named[-1:] not in (b"", b"\0")
        if not ends_well or self.array > MAX_TASKS or bits.bit_length() > self.array or bits == (1 << self.array) - 1:
            raise CodecError("the bits of a task set are not those of some tasks of its array")

    @classmethod
    def of(cls, array: int, indices: list[int]) -> TaskSet:
        """Some tasks of an array, in ascending order, each once."""
        if any(later <= index for index, later in zip(indices, indices[1:])) or not all(0 <= i < array for i in indices):
            raise CodecError(f"indices of tasks ascend from 0 to {array - 1}, each once")
        if indices == list(range(array)):
            return cls(array)
        bits = sum(1 << index for index in indices)
        return cls(array, bits.to_bytes((bits.bit_length() + 7) // 8, "little"))

    @property
    def indices(self) -> list[int]:
        """The tasks that are run, ascending."""
        if self.named is None:
            return list(range(self.array))
        bits = int.from_bytes(self.named, "little")
        return [index for index in range(bits.bit_length()) if bits >> index & 1]

    def to_json(self) -> dict[str, Any]:
        some = {} if self.named is None else {"task_indices": self.indices}
        return {"tasks": self.array, **some}

    @classmethod
    def from_json(cls, value: Any) -> TaskSet:
        some = value.get("task_indices")
        return cls(value["tasks"]) if some is None else cls.of(value["tasks"], list(some))


@dataclass(frozen=True)
class Workload:
    """What is computed: everything that determines the outcomes and nothing else."""

    class_: U16
    module: BlobId
    arguments: Annotated[tuple[Argument, ...], Items(MAX_ARGUMENTS)]
    environment: Annotated[dict[Argument, Argument], Items(MAX_ARGUMENTS)]
    stdin: BlobId | None
    inputs: Annotated[tuple[Input, ...], Items(MAX_INPUTS)]
    outputs: Annotated[tuple[Output, ...], Items(MAX_OUTPUTS)]
    tasks: TaskSet
    # Positions of the outputs that each task hands to the next, ascending; empty where tasks are independent.
    state: Annotated[tuple[U8, ...], Items(MAX_STATE_OUTPUTS)]
    limits: TaskLimits
    # Where the task's clock starts, in nanoseconds since 1970.
    clock_start_ns: U64
    random_seed: Hash

    @property
    def id(self) -> bytes:
        """The hash that a receipt names."""
        return domain_hash("workload", encode(self))

    @property
    def input_root(self) -> bytes:
        """The hash over module, stdin and inputs."""
        inputs = (encode(self.module), encode(self.stdin, BlobId | None), encode(self.inputs, _INPUTS))
        return domain_hash("job inputs", *inputs)

    def blobs(self) -> list[BlobId]:
        """Module, stdin and inputs, each once, in this order."""
        stdin = [] if self.stdin is None else [self.stdin]
        return list(dict.fromkeys([self.module, *stdin, *(item.blob for item in self.inputs)]))

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.class_,
            "module": self.module.to_json(),
            "arguments": list(self.arguments),
            "environment": dict(self.environment),
            "stdin": None if self.stdin is None else self.stdin.to_json(),
            "inputs": [{"blob": item.blob.to_json(), "target": item.target} for item in self.inputs],
            "outputs": [{"name": item.name, "path": item.path} for item in self.outputs],
            **self.tasks.to_json(),
            **({"state": [self.outputs[at].name for at in self.state]} if self.state else {}),
            "limits": {
                "fuel": self.limits.fuel,
                "memory_bytes": self.limits.memory_bytes,
                "output_bytes": self.limits.output_bytes,
            },
            "clock_start_ns": self.clock_start_ns,
            "random_seed": self.random_seed.hex(),
        }

    @classmethod
    def from_json(cls, value: Any) -> Workload:
        """The workload of a job as `GET /v1/jobs/{id}` shows it; its `id` tells whether it is the one that was settled."""
        try:
            return cls(
                class_=value["class"],
                module=BlobId.from_json(value["module"]),
                arguments=tuple(value["arguments"]),
                environment=dict(value["environment"]),
                stdin=None if value["stdin"] is None else BlobId.from_json(value["stdin"]),
                inputs=tuple(Input(BlobId.from_json(i["blob"]), i["target"]) for i in value["inputs"]),
                outputs=tuple(Output(o["name"], o["path"]) for o in value["outputs"]),
                tasks=TaskSet.from_json(value),
                state=tuple([o["name"] for o in value["outputs"]].index(name) for name in value.get("state") or ()),
                limits=TaskLimits(**{name: value["limits"][name] for name in TaskLimits.__annotations__}),
                clock_start_ns=value["clock_start_ns"],
                random_seed=hash_from_json(value["random_seed"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadAnswer(f"not a workload: {error!r}") from None


_INPUTS = Annotated[tuple[Input, ...], Items(MAX_INPUTS)]


@dataclass(frozen=True)
class Constraints:
    """Attributes that a partner must have with exactly these values."""

    attributes: Annotated[dict[Name, Name], Items(MAX_ATTRIBUTES)] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """What the customer demands of verification; amounts in base units."""

    min_verifiers: U16
    # None lets the policy choose.
    tasks_per_verifier: U32 | None
    value_at_risk: U128
    task_value_at_risk: U128
    # Minimum probability that one wrong task is found, in parts per million; 0 leaves it to the bond rule.
    confidence_ppm: U32


@dataclass(frozen=True)
class JobSpec:
    """A whole job; `price_cap` in base units, `max_wait_ms` in chain time."""

    name: Name
    workload: Workload
    constraints: Constraints
    verification: Verification
    price_cap: U128
    max_wait_ms: U64

    def to_json(self) -> dict[str, Any]:
        """The body of `POST /v1/estimate`."""
        verification = self.verification
        return {
            "name": self.name,
            "workload": self.workload.to_json(),
            "attributes": dict(self.constraints.attributes),
            "verification": {
                "min_verifiers": verification.min_verifiers,
                "tasks_per_verifier": verification.tasks_per_verifier,
                "value_at_risk": format_square(verification.value_at_risk),
                "task_value_at_risk": format_square(verification.task_value_at_risk),
                "confidence_ppm": verification.confidence_ppm,
            },
            "price_cap": format_square(self.price_cap),
            "max_wait_ms": self.max_wait_ms,
        }

    @classmethod
    def from_json(cls, value: Any) -> JobSpec:
        """A spec as `GET /v1/jobs/{id}` shows it."""
        try:
            verification = dict(value["verification"])
            for name in ("value_at_risk", "task_value_at_risk"):
                verification[name] = parse_square(verification[name])
            return cls(
                name=value["name"],
                workload=Workload.from_json(value["workload"]),
                constraints=Constraints(dict(value["attributes"])),
                verification=Verification(**{name: verification[name] for name in Verification.__annotations__}),
                price_cap=parse_square(value["price_cap"]),
                max_wait_ms=value["max_wait_ms"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadAnswer(f"not a job spec: {error!r}") from None


def hash_from_json(text: object) -> bytes:
    """The 32 bytes of 64 lower-case hex digits."""
    return bytes_from_hex(text, 32)


def bytes_from_hex(text: object, length: int) -> bytes:
    """So many bytes in lower-case hex digits."""
    if isinstance(text, str) and len(text) == 2 * length and set(text) <= set("0123456789abcdef"):
        return bytes.fromhex(text)
    raise CodecError(f"expected {2 * length} lower-case hex digits")
