"""A client of gridproof: submit a job, wait for it, fetch its results and verify them without trust in any node."""

from gridproof.amounts import format_square, parse_square
from gridproof.client import Client
from gridproof.errors import (
    BadAnswer,
    CodecError,
    GridproofError,
    JobFailed,
    KeyFileError,
    NoAnswer,
    NotVerified,
    Refused,
    TransactionFailed,
    WaitedTooLong,
)
from gridproof.jobs import Job, PreparedJob, cancel, describe, fetch, hand_over, submit, upload, wait
from gridproof.keys import SecretKey, load_key
from gridproof.light import Light, ProvenReceipt
from gridproof.results import VerifiedJob, verify_folder
from gridproof.spec import ALL_TASKS, BlobId, JobSpec
from gridproof.transaction import CancelJob, SubmitJob, Transaction, Transfer
from gridproof.transport import RequestSigner

__version__ = "0.1.0"

__all__ = [
    "ALL_TASKS",
    "BadAnswer",
    "BlobId",
    "CancelJob",
    "Client",
    "CodecError",
    "GridproofError",
    "Job",
    "JobFailed",
    "JobSpec",
    "KeyFileError",
    "Light",
    "NoAnswer",
    "NotVerified",
    "PreparedJob",
    "ProvenReceipt",
    "Refused",
    "RequestSigner",
    "SecretKey",
    "SubmitJob",
    "Transaction",
    "TransactionFailed",
    "Transfer",
    "VerifiedJob",
    "WaitedTooLong",
    "cancel",
    "describe",
    "fetch",
    "format_square",
    "hand_over",
    "load_key",
    "parse_square",
    "submit",
    "upload",
    "verify_folder",
    "wait",
]
