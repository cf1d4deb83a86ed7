"""Against a devnet of real processes: `scripts/python-client` starts one and names it in the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import gridproof
from gridproof.blocks import Genesis
from gridproof.codec import decode, encode
from gridproof.errors import NotVerified
from gridproof.jobs import wait_transaction

NETWORK = Path(os.environ["GRIDPROOF_DEVNET"])
RPC = os.environ["GRIDPROOF_RPC"]
JOB = Path(os.environ["GRIDPROOF_JOB"])
RESULT = Path(os.environ["GRIDPROOF_RESULT"])
COMMAND = os.environ["GRIDPROOF"]
NOBODY = "http://127.0.0.1:9"


class Devnet(unittest.TestCase):
    def setUp(self) -> None:
        self.genesis = (NETWORK / "genesis.bin").read_bytes()
        self.light = gridproof.Light(self.genesis)
        self.key = gridproof.load_key(str(NETWORK / "customer.key"))
        self.client = gridproof.Client([NOBODY, RPC])
        self.addCleanup(self.client.close)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def test_a_byte_of_a_fetched_file_is_noticed(self) -> None:
        copy = self.folder / "copy"
        shutil.copytree(RESULT, copy)
        self.assertEqual(gridproof.verify_folder(self.light, copy).failed_tasks, [])
        path = copy / "2" / "hist"
        path.write_bytes(path.read_bytes() + b" ")
        with self.assertRaises(NotVerified) as caught:
            gridproof.verify_folder(self.light, copy)
        self.assertEqual(caught.exception.rule, "different")

    def test_another_genesis_is_refused_before_anything_is_signed(self) -> None:
        genesis = decode(Genesis, self.genesis, 1 << 20)
        other = gridproof.Light(encode(replace(genesis, name="other")))
        with self.assertRaises(NotVerified) as caught:
            gridproof.verify_folder(other, RESULT)
        self.assertEqual(caught.exception.rule, "other_chain")
        transfer = gridproof.Transfer(bytes(20), 1)
        with self.assertRaisesRegex(gridproof.GridproofError, "nothing was signed"):
            gridproof.hand_over(self.client, self.key, transfer, other.chain_id)

    def test_money_moves_and_what_breaks_a_rule_says_so(self) -> None:
        to = gridproof.SecretKey(os.urandom(32)).address
        signed = gridproof.hand_over(self.client, self.key, gridproof.Transfer(to, 12), self.light.chain_id)
        wait_transaction(self.client, signed.transaction.id)
        self.assertEqual(self.client.account(to)["balance"], "0.000000000000000012")
        again = self.client.submit(signed)
        self.assertEqual(again["id"], signed.transaction.id.hex())
        too_much = gridproof.Transfer(to, 10**30)
        with self.assertRaises((gridproof.TransactionFailed, gridproof.Refused)):
            sent = gridproof.hand_over(self.client, self.key, too_much, self.light.chain_id)
            wait_transaction(self.client, sent.transaction.id)

    def test_a_cancelled_job_failed(self) -> None:
        job = gridproof.Job(name="cancelled", module=JOB / "histogram.wasm").prepare()
        spec = gridproof.SubmitJob(job.spec)
        signed = gridproof.hand_over(self.client, self.key, spec, self.light.chain_id)
        wait_transaction(self.client, signed.transaction.id)
        gridproof.cancel(self.client, self.key, signed.transaction.job_id, self.light.chain_id)
        with self.assertRaises(gridproof.JobFailed) as caught:
            gridproof.wait(self.client, signed.transaction.job_id)
        self.assertEqual(caught.exception.reason, "cancelled")

    def test_a_job_beyond_its_limit_of_cost_is_not_submitted(self) -> None:
        job = gridproof.Job(name="dear", module=JOB / "histogram.wasm", price="3").prepare()
        with self.assertRaisesRegex(gridproof.GridproofError, "more than 2"):
            gridproof.submit(self.client, self.key, job, self.light.chain_id, max_cost="2")

    def test_what_gridproof_fetched_verifies_here(self) -> None:
        out = self.folder / "result"
        genesis, key = str(NETWORK / "genesis.bin"), str(NETWORK / "customer.key")
        run = [COMMAND, "job", "run", str(JOB / "job.yaml"), "--rpc", RPC, "--genesis", genesis, "--key", key]
        subprocess.run([*run, "--out", str(out)], check=True, capture_output=True)
        verified = gridproof.verify_folder(self.light, out)
        self.assertEqual(len(verified.outcomes.tasks), 4)
        again = self.folder / "again"
        gridproof.fetch(self.client, self.light, verified.proven.receipt.job, again)
        self.assertEqual((again / "3" / "hist").read_bytes(), (out / "3" / "hist").read_bytes())


if __name__ == "__main__":
    unittest.main()
