"""A measurement inside a throwaway node: another release than this machine's, with its own servers and tools."""

import json
import pathlib
import shutil

from nodes import Nodes
from tools import run, say

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["pgcopydb", "postgresql", "python3"]


def postgres(options, folder, agents, agent):
    """PostgreSQL's rows, measured there; their names say where."""
    nodes = Nodes(options.bascule, folder, agents, options.image)
    nodes.down()
    try:
        nodes.up("pg")
        # Packages must not start a server of their own beside those that are measured.
        refuse = pathlib.Path(nodes.nodes["pg"]["root"]) / "usr/sbin/policy-rc.d"
        refuse.write_text("#!/bin/sh\nexit 101\n")
        refuse.chmod(0o755)
        say(f"  {options.image}: installing {' '.join(PACKAGES)}")
        run(nodes.inside("pg", "apt-get", "-q", "update"))
        run(nodes.inside(
            "pg", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends", "install",
            *PACKAGES))
        # The servers' account works in it.
        there = pathlib.Path(nodes.nodes["pg"]["root"]) / "srv/bench"
        shutil.copytree(HERE, there, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(agent, there / "agent")
        (there / "work").mkdir()
        output = run(nodes.inside(
            "pg", "python3", "-B", "/srv/bench/postgres.py", "/srv/bench/work", "/srv/bench/agent", options.rows,
            options.rounds))
        rows = json.loads(output)
        return [{**line, "what": f"{options.image}: {line['what']}"} for line in rows]
    finally:
        nodes.down()
