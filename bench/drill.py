"""The demo's shop is lost and comes back from another node's copies: what would be lost, and how long it takes."""

import json
import os
import pathlib

from tools import Failure, limit, run

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "Examples/girlycrea/drill.sh"


def measure(bascule, agents):
    said = run([SCRIPT, "--json"], env={**os.environ, "BASCULE": str(bascule), "BASCULE_AGENTS": str(agents)})
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{") and '"rto"' in line and '"evidence"' in line]
    if not lines:
        raise Failure("the drill left no record")
    record = lines[-1]
    failed = [one["subject"] for one in record["evidence"] if not one["passed"]]
    if failed:
        raise Failure(f"the drill did not pass: {', '.join(failed)}")
    found = {one["subject"]: one["value"] for one in record["evidence"]}
    return [
        limit("drill: writes that a lost node loses", record["rpo"], 300, "s", found["RPO"]),
        limit("drill: from lost to serving", record["rto"], 3600, "s", found["database shop"] + ", " + found["files restored"]),
        limit("drill: the same at 40 GB, projected", record["projected"], 3600, "s", record["projection"]),
    ]
