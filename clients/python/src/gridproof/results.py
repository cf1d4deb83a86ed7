"""A job's results in a folder, as `gridproof job fetch` lays them out, and their verification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from gridproof.codec import decode
from gridproof.errors import CodecError, GridproofError, NotVerified
from gridproof.light import Light, ProvenReceipt
from gridproof.limits import MAX_DOCUMENT_BYTES, MAX_OUTCOMES_BYTES, MAX_TRANSACTION_BYTES
from gridproof.receipt import ExitCode, Outcomes, check_workload, verify_outcomes
from gridproof.spec import BlobId, TaskSet, Workload

RECEIPT, OUTCOMES, WORKLOAD = "receipt.json", "outcomes.bin", "workload.bin"
# What a folder may hold that is no result of a task.
OWN_NAMES = (RECEIPT, OUTCOMES, WORKLOAD, "job.id", "genesis.bin")


@dataclass(frozen=True)
class VerifiedJob:
    """A job whose receipt, outcomes and files are those that the chain settled."""

    proven: ProvenReceipt
    workload: Workload
    outcomes: Outcomes
    # Paths of the files below the folder.
    files: dict[str, BlobId]

    @property
    def failed_tasks(self) -> list[int]:
        """Tasks that ended otherwise than with exit code 0, or left a declared output unwritten."""
        outputs = len(self.workload.outputs)
        return [
            i
            for i, task in zip(self.workload.tasks.indices, self.outcomes.tasks)
            if task.exit != ExitCode(0) or None in task.outputs or len(task.outputs) < outputs
        ]


def file_places(workload: Workload, outcomes: Outcomes) -> dict[str, BlobId]:
    """Where each file that the outcomes name lies: `<task>/<name>`, without `<task>/` in an array of one task."""
    names = [output.name for output in workload.outputs]
    if any(not name or name in (".", "..") or "/" in name or "\\" in name for name in names):
        raise NotVerified("bad_name", "an output has a name that leads out of the folder")
    flat = workload.tasks == TaskSet(1) and not set(names) & set(OWN_NAMES)
    places: dict[str, BlobId] = {}
    for task, outcome in zip(workload.tasks.indices, outcomes.tasks):
        files: list[tuple[str, BlobId | None]] = [("stdout", outcome.stdout), ("stderr", outcome.stderr)]
        for position, blob in enumerate(outcome.outputs):
            if blob is not None and position >= len(names):
                raise NotVerified("output_count", f"task {task} wrote an output that the job does not have")
            files += [(names[position], blob)] if position < len(names) else []
        for name, blob in files:
            if blob is not None:
                places[name if flat else f"{task}/{name}"] = blob
    return places


def verify_folder(light: Light, folder: str | Path) -> VerifiedJob:
    """Verifies a fetched job offline, from the trusted genesis to the last byte of the last file.

    A folder with a file missing, different or too many is refused.
    """
    folder = Path(folder)
    document = _read(folder / RECEIPT, MAX_DOCUMENT_BYTES)
    try:
        proven = light.verify_receipt(document.decode())
    except UnicodeDecodeError:
        raise NotVerified("no_document", f"{folder / RECEIPT} is not text") from None
    outcomes = verify_outcomes(proven.receipt, _read(folder / OUTCOMES, MAX_OUTCOMES_BYTES))
    try:
        workload = decode(Workload, _read(folder / WORKLOAD, MAX_TRANSACTION_BYTES), MAX_TRANSACTION_BYTES)
    except CodecError as error:
        raise NotVerified("other_workload", f"{folder / WORKLOAD}: {error}") from None
    check_workload(proven.receipt, workload)
    places = file_places(workload, outcomes)
    found = _listed(folder, {place.split("/")[0] for place in places if "/" in place})
    if missing := sorted(places.keys() - found):
        raise NotVerified("missing", f"{missing[0]}: the file is missing")
    if extra := sorted(found - places.keys() - set(OWN_NAMES)):
        raise NotVerified("extra", f"{extra[0]}: no task wrote this file")
    for place, blob in places.items():
        if _blob_of(folder / place, blob.length) != blob:
            raise NotVerified("different", f"{place}: the file is not the one that the task wrote, which is blob {blob}")
    return VerifiedJob(proven, workload, outcomes, places)


def _listed(folder: Path, tasks: set[str]) -> set[str]:
    """Everything in the folder, and in the folders of tasks."""
    found: set[str] = set()
    try:
        for entry in folder.iterdir():
            if entry.name in tasks and entry.is_dir():
                found |= {f"{entry.name}/{inner.name}" for inner in entry.iterdir()}
            else:
                found.add(entry.name)
    except OSError as error:
        raise GridproofError(f"cannot read {folder}: {error.strerror}") from None
    return found


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise GridproofError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > most:
        raise NotVerified("too_long", f"{path} has more than {most} bytes")
    return data


def _blob_of(path: Path, most: int) -> BlobId:
    """Names what a file holds, reading at most one byte more than `most`."""
    hasher, length = blake3(), 0
    if not path.is_file():
        raise NotVerified("different", f"{path} is no file")
    with path.open("rb") as file:
        while length <= most and (piece := file.read(min(1 << 20, most + 1 - length))):
            hasher.update(piece)
            length += len(piece)
    return BlobId(hasher.digest(), length)
