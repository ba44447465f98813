"""The whole stack of Examples/stack: from blank against raw apt-get, and a second time with nothing to do."""

import json
import os
import pathlib
import re
import shutil

from engine import RAW
from nodes import Nodes
from tools import Failure, limit, median, row, run, say, timed

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "Examples/stack"
IMAGES = ("debian12", "debian13")
# Seconds that a run with nothing to do may take.
AGAIN = 1.0


class Stack(Nodes):
    """Nodes of one image, each with a fleet file and a store of its own."""

    def __init__(self, bascule, folder, agents, image):
        path = pathlib.Path(folder) / image
        path.mkdir()
        super().__init__(bascule, path, agents, image)

    def fleet(self, name):
        """The example, on one node that is there already."""
        folder = self.folder / name
        if not folder.exists():
            shutil.copytree(EXAMPLE, folder)
            key = next(key for key in self.nodes[name]["hostKeys"] if key.startswith("ssh-ed25519"))
            there = f'{{address: {self.nodes[name]["address"]}, key: {self.key}, hostKey: "{key}"}}'
            text, count = re.subn(r"(?m)^(  vps1: )\{provider: lab[^}]*\}", rf"\g<1>{there}", (folder / "fleet.yaml").read_text())
            if count != 1:
                raise Failure("the example's node is not where it was")
            (folder / "fleet.yaml").write_text(text)
        return folder / "fleet.yaml"

    def command(self, fleet, *words):
        return [self.bascule, *words, "--file", str(fleet), "--store", str(fleet.parent / "bench.db")]

    def packages(self, name):
        """What the example installs on this image, as the plan of a blank node says."""
        plan = json.loads(run(self.command(self.fleet(name), "plan", "--json"), status=(0, 2), env=self.environment))
        items = [item for step in plan["steps"] for item in step["action"].get("converge", {}).get("_0", [])]
        resources = [item["desired"]["resource"] for item in items]
        wanted = [r["value"] for r in resources if r["kind"] == "package"]
        found = sorted({package["name"] for package in wanted if package["state"] == "present"})
        if not found:
            raise Failure("the plan of a blank node names no package")
        return found

    def fill(self, packages, first, *others):
        """The archives of all packages into apt's cache on each node."""
        say(f"{self.image}: filling the package caches with {len(packages)} packages and what they need")
        run(self.ssh(first, "apt-get -q update && apt-get -q -y --no-install-recommends --download-only install "
                     + " ".join(packages)))
        archives = sorted((pathlib.Path(self.nodes[first]["root"]) / "var/cache/apt/archives").glob("*.deb"))
        for name in others:
            for archive in archives:
                shutil.copyfile(archive, pathlib.Path(self.nodes[name]["root"]) / "var/cache/apt/archives" / archive.name)


def measure(bascule, folder, agents, rounds):
    rows = []
    for image in IMAGES:
        stack = Stack(bascule, folder, agents, image)
        stack.down()
        try:
            rows += one(stack, rounds)
        finally:
            stack.down()
    return rows


def one(stack, rounds):
    mine, others = [f"s{i}" for i in range(rounds)], [f"raw{i}" for i in range(rounds)]
    stack.up("warm", *mine, *others)
    # The archives also come into the page cache for all that follow.
    run(stack.command(stack.fleet("warm"), "node", "bootstrap", "vps1", "--yes"), env=stack.environment)
    packages = stack.packages("warm")
    stack.fill(packages, "warm", *mine, *others)
    run(stack.apply(stack.fleet("warm")), env=stack.environment)
    ours, raw, again = [], [], []
    for number, (name, other) in enumerate(zip(mine, others)):
        sides = [(ours, stack.apply(stack.fleet(name))), (raw, stack.ssh(other, RAW + " ".join(packages)))]
        for times, command in sides if number % 2 == 0 else reversed(sides):
            # dpkg waits for the disk: nobody shall wait for what came before.
            os.sync()
            times.append(timed(command, env=stack.environment)[0])
        seconds, _, said = timed(stack.apply(stack.fleet(name)), env=stack.environment)
        if "Nothing to do" not in said and "0 changed" not in said:
            raise Failure(f"the second apply changed something:\n{said}")
        again.append(seconds)
        say(f"  {stack.image}: bascule {ours[-1]:.2f} s, apt-get {raw[-1]:.2f} s, again {again[-1]:.2f} s")
    note = f"agent and all services; apt-get update, install of the same {len(packages)} packages"
    return [
        row(f"the whole stack from blank, {stack.image}", ours, raw, 1.15, note=note),
        limit(f"the whole stack again, {stack.image}", median(again), AGAIN, "s", "changes nothing"),
    ]
