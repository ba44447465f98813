"""The 44 entries: from blank against raw apt-get, nothing to do against `ssh node true`, the agent's footprint."""

import json
import os
import pathlib
import subprocess
import sys
import time

from nodes import PACKAGES
from tools import Failure, limit, median, row, run, say, timed

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "Tests/Support/faults"
RAW = "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q -y --no-install-recommends install "


def settle(nodes, names):
    """Applies the 44 entries; then all of them must be seen to be there, with nothing left to do."""
    fleet = nodes.fleet(*names)
    run(nodes.apply(fleet), env=nodes.environment)
    plan = json.loads(run(nodes.command(fleet, "plan", "--json"), status=(0, 2), env=nodes.environment))
    if plan["steps"] or len(plan["satisfied"]) < 44 * len(names):
        raise Failure(f"{len(plan['steps'])} steps are left, {len(plan['satisfied'])} resources are as declared")


def from_blank(nodes, pairs):
    """Pairs of (ours, raw) blank nodes; all have a warm package cache, ours their agent. Who is first changes."""
    ours, raw = [], []
    for number, (mine, other) in enumerate(pairs):
        sides = [(ours, nodes.apply(nodes.fleet(mine))), (raw, nodes.ssh(other, RAW + " ".join(PACKAGES)))]
        for times, command in sides if number % 2 == 0 else reversed(sides):
            # dpkg waits for the disk: nobody shall wait for what came before.
            os.sync()
            times.append(timed(command)[0])
        say(f"  from blank: bascule {ours[-1]:.2f} s, apt-get {raw[-1]:.2f} s")
    return [row("from blank, 44 entries, 1 node", ours, raw, 1.1, note="apt-get update, install of the 8 packages")]


def nothing_to_do(nodes, names, rounds):
    """One node and all of them, each time beside one `ssh node true`: alone, far away, and with held connections."""
    one, all = nodes.fleet(names[0]), nodes.fleet(*names)
    ssh, note = nodes.ssh(names[0], "true"), "ssh node true"

    def beside_ssh(fleet, environment):
        """Seconds of `ssh` and of applying `fleet`. Another file is another manifest: the first apply hands it over."""
        run(nodes.apply(fleet), env=environment)
        time.sleep(2)
        return turns(nodes, rounds, {"ssh": ssh, "bascule": nodes.apply(fleet)}, environment)

    near = beside_ssh(one, nodes.environment)
    rows = [row("nothing to do, 44 entries, 1 node", near["bascule"], near["ssh"], 0.7, note=note)]
    rows.append(far_away(nodes, names[0], max(rounds // 2, 5), near))
    many = beside_ssh(all, nodes.environment)
    rows.append(
        row(f"nothing to do, 44 entries, {len(names)} nodes", many["bascule"], many["ssh"], 1.0, note=note))
    # The holder ends by itself when its store is gone.
    held = {**nodes.environment, "BASCULE_HOLD": "600"}
    for what, fleet, goal in (("connection held, 1 node", one, 0.15), (f"connections held, {len(names)} nodes", all, 1.0)):
        seconds = beside_ssh(fleet, held)
        rows.append(row(f"the same, {what}", seconds["bascule"], seconds["ssh"], goal, note=note))
    return rows


def turns(nodes, rounds, commands, environment=None):
    """Seconds of each command, all of them in turn."""
    seconds, cpu = {key: [] for key in commands}, {key: [] for key in commands}
    for _ in range(rounds):
        for key, command in commands.items():
            # What the command before leaves behind (a session's end, the next spare channel) is not this one's time.
            time.sleep(0.2)
            wall, used, _ = timed(command, env=environment or nodes.environment)
            seconds[key].append(wall)
            cpu[key].append(used)
    for key, values in seconds.items():
        say(f"  {key}: median {median(values):.3f} s, best {min(values):.3f} s, CPU here {median(cpu[key]):.3f} s")
    return seconds


FAR = 80


def far_away(nodes, name, rounds, near):
    """How many round trips a command waits for, told from how much longer it takes over a line that adds 80 ms."""
    port = 21880
    node = nodes.nodes[name]
    proxy = subprocess.Popen([sys.executable, TOOLS / "latency-proxy.py", str(port), node["address"], "22", str(FAR)])
    try:
        time.sleep(0.5)
        path = nodes.fleet(name)
        text = path.read_text().replace(f"address: {node['address']},", f"address: 127.0.0.1, port: {port},")
        far = path.with_name(f"far-{name}.yaml")
        far.write_text(text)
        run(nodes.apply(far), env=nodes.environment)
        commands = {"ssh": nodes.ssh(name, "true", port=port, address="127.0.0.1"), "bascule": nodes.apply(far)}
        seconds = turns(nodes, rounds, commands)
    finally:
        proxy.terminate()
        proxy.wait()
    trips = {key: (min(seconds[key]) - min(near[key])) * 1000 / FAR for key in commands}
    note = f"{trips['bascule']:.1f}; ssh node true: {trips['ssh']:.1f}; both rounded, as they are whole"
    goal = round(trips["ssh"]) + 1
    return limit(f"round trips, nothing to do, +{FAR} ms", round(trips["bascule"]), goal, "round trips", note)


AGENT = """
pid=$(systemctl show -P MainPID bascule-agent.service)
sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/rss \\1/p' /proc/$pid/status
echo cpu $(awk -v hz=$(getconf CLK_TCK) '{ print ($14 + $15) / hz }' /proc/$pid/stat)
"""


def footprint(nodes, names, agent, seconds):
    """Size of the program; memory and CPU of idle agents that have applied the 44 entries. The worst node counts."""

    def sample(name):
        said = dict(line.split() for line in run(nodes.ssh(name, AGENT)).splitlines())
        return int(said["rss"]) / 1024, float(said["cpu"]), time.monotonic()

    say(f"  watching {len(names)} idle agents for {seconds} s")
    time.sleep(2)
    before = {name: sample(name) for name in names}
    time.sleep(seconds)
    memory, cpu = [], []
    for name in names:
        rss, used, now = sample(name)
        memory.append(rss)
        cpu.append((used - before[name][1]) / (now - before[name][2]) * 100)
    return [
        limit("agent, stripped", os.path.getsize(agent) / 2**20, 18, "MiB"),
        limit("agent, idle, resident memory", max(memory), 16, "MiB", f"worst of {len(names)} nodes"),
        limit(f"agent, CPU over {seconds} idle seconds", max(cpu), 0.3, "%", f"worst of {len(names)} nodes"),
    ]
