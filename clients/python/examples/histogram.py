"""Submits the histogram job of examples/histogram, waits for it, fetches its results and verifies them against genesis alone.

    gridproof devnet up --dir /tmp/net --validators 4 --partners 5 --base-port 26600 --detach
    examples/histogram/prepare /tmp/job
    GRIDPROOF_KEY=$(cat /tmp/net/customer.key) python clients/python/examples/histogram.py /tmp/job \
        --rpc http://127.0.0.1:26601 --genesis /tmp/net/genesis.bin --key env:GRIDPROOF_KEY --out /tmp/result
"""

import argparse
from pathlib import Path

import gridproof


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what examples/histogram/prepare made")
    parser.add_argument("--rpc", action="append", required=True, help="a validator's address; may be repeated")
    parser.add_argument("--genesis", type=Path, required=True, help="the genesis that you trust")
    parser.add_argument("--key", required=True, help="env:NAME, fd:NUMBER or the path of a key file")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for the results")
    options = parser.parse_args()

    # What is trusted: the genesis. The endpoint is not.
    light = gridproof.Light(options.genesis.read_bytes())
    key = gridproof.load_key(options.key)
    job = gridproof.Job(
        name="histogram",
        module=options.folder / "histogram.wasm",
        arguments=["20"],
        inputs={"/in/data": options.folder / "data.txt"},
        outputs={"hist": "/out/hist.csv"},
        tasks=4,
        min_verifiers=2,
        tasks_per_verifier=gridproof.ALL_TASKS,
    ).prepare()

    with gridproof.Client(options.rpc) as client:
        client.sign_with(gridproof.RequestSigner(key, light.chain_id))
        job_id = gridproof.submit(
            client, key, job, light.chain_id, max_cost="10", on_id=lambda found: print(f"job {found.hex()}", flush=True)
        )
        gridproof.wait(client, job_id, on_stage=lambda stage: print(f"  {stage}", flush=True))
        verified = gridproof.fetch(client, light, job_id, options.out)

    # What was settled is what this program asked for.
    if verified.workload != job.spec.workload:
        raise SystemExit("the chain settled another workload")
    print(gridproof.describe(verified))
    print((options.out / "0" / "hist").read_text(encoding="utf-8").splitlines()[0])


if __name__ == "__main__":
    main()
