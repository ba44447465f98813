"""The write outage of a whole migration, as a customer sees it: the demo's shop with 1 GB more, under writes."""

import json
import os
import pathlib

from tools import Failure, limit, run, say

DEMO = pathlib.Path(__file__).resolve().parent.parent / "Examples/girlycrea"
# Seconds from the last write accepted by the old system to the first accepted by the new one.
GOAL = 3.0
PHASES = ("freeze", "sync", "validate", "smoke", "switch", "open")


def measure(bascule, folder, agents, scale):
    """Moves the demo's shop with pgbench's tables of `scale`, 200 transactions a second on them until the fence.

    The figure is the customer's own: requests by name through the old edge, a write about every 0.15 s. The demo itself
    fails where an order that the customer was told is placed is not in the new database.
    """
    work = pathlib.Path(folder) / "demo"
    work.mkdir()
    environment = {
        **os.environ, "BASCULE": str(bascule), "BASCULE_AGENTS": str(agents), "DEMO_DIR": str(work),
        "DEMO_SCALE": str(scale),
    }
    run([DEMO / "demo.sh"], env=environment)
    report = json.loads((DEMO / "report.json").read_text())
    seen = report["customer"].get("writeOutage")
    if seen is None:
        raise Failure("the customer's writes were not accepted by both systems")
    took = {phase["phase"]: phase["seconds"] for phase in report["phases"]}
    parts = ", ".join(f"{name} {took[name]:.2f}" for name in PHASES if name in took)
    orders = report["orders"]
    say(f"  outage {seen / 1000:.2f} s; {parts}")
    note = (f"200 transactions/s on pgbench's scale {scale}; a write every 0.15 s by name through the old edge; "
            f"orders found {orders['inNewDatabase']} of {orders['told']}; steps: {parts}")
    return [limit("write outage of a whole migration", seen / 1000, GOAL, "s", note)]
