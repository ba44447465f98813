#!/usr/bin/env python3
"""Measures Bascule against what a person would use instead, in the same run on the same machine.

Prints a table and writes it as JSON. Needs root (throwaway nodes) and what `make deps` installs. Everything that it
brings up is gone when it ends, however it ends.
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import platform
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

import elsewhere
import drill
import engine
import heal
import mysql
import outage
import postgres
import redis
import scale
import stack
from nodes import Nodes
from tools import Failure, say, stop_politely

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["engine", "speed", "scale", "postgres", "redis", "heal", "stack", "mysql", "outage", "drill"], help="measure only this")
    parser.add_argument("--rounds", type=int, default=3, help="of the long measurements (3)")
    parser.add_argument("--idle-rounds", type=int, default=15, help="of the runs with nothing to do (15)")
    parser.add_argument("--nodes", default="4,50,500", help="how many nodes the curve has (4,50,500)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the database (2000000)")
    parser.add_argument(
        "--image", choices=["debian12", "debian13"], help="copy PostgreSQL's rows on a throwaway node of this release")
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the Redis database (1000000)")
    parser.add_argument("--scale", type=int, default=70, help="of pgbench's tables in the migration (70: about 1 GB)")
    parser.add_argument("--watch", type=int, default=30, help="seconds to watch idle agents (30)")
    parser.add_argument("--bascule", default=os.environ.get("BASCULE", ROOT / "dist/bascule"))
    parser.add_argument("--json", default=None, help="where the figures go (dist/bench.json)")
    return parser.parse_args()


def measure_engine(options, folder, agents, agent):
    nodes = Nodes(options.bascule, folder, agents)
    # What an earlier run, ended by force, may have left.
    nodes.down()
    # One node warms up and is not counted; four are needed in the end.
    mine = [f"n{i}" for i in range(1, max(options.rounds, 3) + 2)]
    raw = [f"raw{i}" for i in range(1, options.rounds + 1)]
    try:
        nodes.up(*mine, *raw)
        nodes.warm(mine[0], *mine[1:], *raw)
        nodes.bootstrap(*mine)
        say("from blank")
        # Brings the archives into the page cache for all that follow.
        engine.settle(nodes, mine[:1])
        rows = engine.from_blank(nodes, list(zip(mine[1:], raw)))
        nodes.down(*raw)
        say("the agent's footprint")
        four = mine[:4]
        engine.settle(nodes, four)
        rows += engine.footprint(nodes, four, agent, options.watch)
        say("nothing to do")
        return engine.nothing_to_do(nodes, four, options.idle_rounds) + rows
    finally:
        nodes.down()


def measure_speed(options, folder, agents):
    """Four settled nodes: nothing to do, near, far and many. Without the long measurements from blank."""
    nodes = Nodes(options.bascule, folder, agents)
    nodes.down()
    # More machines for the agents of the many: every one of a machine hears of every login there.
    names = [f"n{i}" for i in range(1, 5 if options.only == "speed" else 9)]
    try:
        nodes.up(*names)
        nodes.warm(*names)
        nodes.bootstrap(*names)
        engine.settle(nodes, names)
        rows = []
        if options.only != "scale":
            say("nothing to do")
            rows += engine.nothing_to_do(nodes, names[:4], options.idle_rounds)
        if options.only != "speed":
            say("many nodes")
            rows += scale.curve(nodes, names, [int(n) for n in options.nodes.split(",")], options.rounds)
        return rows
    finally:
        nodes.down()


def measure_heal(options, folder, agents):
    nodes = Nodes(options.bascule, folder, agents)
    nodes.down()
    try:
        nodes.up("h1")
        nodes.warm("h1")
        nodes.bootstrap("h1")
        say("healing")
        return heal.measure(nodes, "h1", options.watch)
    finally:
        nodes.down()


def table(rows):
    lines = [("", "bascule", "against", "ratio", "goal", "")]
    for line in rows:
        unit, word = line["unit"], "met" if line["met"] else "MISSED"
        if "reference" in line:
            figures = (f"{line['bascule']:.3f} {unit}", f"{line['reference']:.3f} {unit}", f"{line['ratio']:.2f}")
            lines.append((line["what"], *figures, f"≤ {line['goal']:g} {word}", line["note"]))
        else:
            goal = f"≤ {line['goal']} {unit} {word}"
            lines.append((line["what"], f"{line['bascule']:.2f} {unit}", "", "", goal, line["note"]))
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def main():
    options = arguments()
    options.bascule = pathlib.Path(options.bascule).resolve()
    agents = options.bascule.parent / "agents"
    agent = agents / platform.machine() / "bascule-agent"
    for program in (options.bascule, agent):
        if not os.access(program, os.X_OK):
            raise Failure(f"{program} is not built: make build")
    if os.geteuid() != 0:
        raise Failure("throwaway nodes need root: sudo make bench")
    stop_politely()
    load = os.getloadavg()[0]
    if load > 1:
        say(f"this machine is busy (load {load:.1f}): trust the ratios, not the times")
    rows = []
    with contextlib.ExitStack() as last:
        lock = last.enter_context(open("/run/lock/bascule-bench", "w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another measurement is running on this machine") from None
        # Short: a socket's path has at most 107 bytes. Readable: the servers' account works in it.
        folder = tempfile.mkdtemp(prefix="bascule-bench-", dir="/tmp")
        last.callback(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        if options.only in (None, "engine"):
            rows += measure_engine(options, folder, agents, agent)
        if options.only in (None, "scale", "speed"):
            rows += measure_speed(options, folder, agents)
        if options.only in (None, "heal"):
            rows += measure_heal(options, folder, agents)
        if options.only in (None, "stack"):
            say("the whole stack")
            rows += stack.measure(options.bascule, folder, agents, options.rounds)
        if options.only in (None, "postgres"):
            say("PostgreSQL")
            if options.image:
                rows += elsewhere.postgres(options, folder, agents, agent)
            else:
                reachable = pathlib.Path(folder) / "agent"
                shutil.copy(agent, reachable)
                rows += postgres.measure(folder, reachable, options.rows, options.rounds)
        if options.only in (None, "redis"):
            say("Redis")
            rows += redis.measure(folder, agent, options.keys)
        if options.only in (None, "mysql"):
            say("MySQL")
            reachable = pathlib.Path(folder) / "mysql-agent"
            shutil.copy(agent, reachable)
            rows += mysql.measure(folder, reachable, options.rows // 2, options.rounds)
        if options.only in (None, "outage"):
            say("a whole migration under writes")
            rows += outage.measure(options.bascule, folder, agents, options.scale)
        if options.only in (None, "drill"):
            say("the drill")
            rows += drill.measure(options.bascule, agents)
    output = pathlib.Path(options.json or ROOT / "dist/bench.json")
    output.parent.mkdir(exist_ok=True)
    made = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    output.write_text(json.dumps({"made": made, "cpus": os.cpu_count(), "load": load, "rows": rows}, indent=2) + "\n")
    table(rows)
    print(f"written to {output}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        say(f"bench: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("bench: stopped")
        sys.exit(130)
