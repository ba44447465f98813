"""Hundreds of real agents and SSH sessions on a few throwaway nodes: time, memory, and what a hostile peer costs.

An instance of the agent has a folder of its own, a copy of what its node's own agent keeps, and an address of its own,
which leads to the node's sshd; sshd's forced command picks the instance by that address. So every one of the fleet's
nodes is an SSH login, an agent's process and an observation of the 44 entries; what they look at is their node's.
"""

import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tools import Failure, limit, median, row, run, say

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "Tests/Support/faults"
AGENT = "/usr/local/lib/bascule/bascule-agent"
FOLDER = "/srv/many"
# An address is 10.99.HOST.INSTANCE; nothing else of a throwaway node is there.
SSHD = f"""Match User bascule LocalAddress 10.99.0.0/16
    AuthorizedKeysFile /etc/bascule/authorized_keys
    PasswordAuthentication no
    ForceCommand set -- $SSH_CONNECTION; exec {AGENT} connect {FOLDER}/$3/state {FOLDER}/$3/run
"""
UNIT = f"""[Service]
ExecStart={AGENT} daemon {FOLDER}/%i/state {FOLDER}/%i/run
KillMode=process
LimitNOFILE=65536
Environment=MALLOC_ARENA_MAX=2 LC_ALL=C.UTF-8
"""
# The system's own limits, which 125 agents of one machine meet and one agent a machine does not.
SET_UP = f"""set -e
host=$1; count=$2
ip route replace local 10.99.$host.0/24 dev lo
printf '%s' "$3" > /etc/ssh/sshd_config.d/10-many.conf
printf '%s' "$4" > /etc/systemd/system/many@.service
systemctl daemon-reload
systemctl reload ssh
systemctl stop bascule-agent
names=
for i in $(seq 1 $count); do
    one={FOLDER}/10.99.$host.$i
    mkdir -p $one/run $one/state/reserve
    # All but the reserve of disk space, 64 MiB each: with a folder in its place the agent goes without.
    (cd /var/lib/bascule && cp -a $(ls | grep -vx reserve) $one/state/)
    names="$names many@10.99.$host.$i"
done
systemctl start bascule-agent $names
for i in $(seq 1 $count); do
    for _ in $(seq 100); do [ -S {FOLDER}/10.99.$host.$i/run/agent.sock ] && break; sleep 0.1; done
done
"""


def set_up(nodes, hosts, count):
    """`count` agents in all, evenly on the hosts. Gives the instances as (name, host's name, address)."""
    each = -(-count // len(hosts))
    instances = []
    for number, host in enumerate(hosts):
        share = min(each, count - len(instances))
        say(f"  {share} agents on {host}")
        run(["ip", "route", "replace", f"10.99.{number}.0/24", "via", nodes.nodes[host]["address"]])
        script = ["sh", "-c", SET_UP, "sh", str(number), str(share), SSHD, UNIT]
        run(nodes.inside(host, *script), env=nodes.environment)
        # Neighbours by name are on different machines: what begins together must not meet one sshd's MaxStartups.
        instances += [
            (f"m{(i - 1) * len(hosts) + number:04}", host, f"10.99.{number}.{i}") for i in range(1, share + 1)]
    know(nodes, instances)
    return sorted(instances)


def allow(setting, value):
    """Raises a limit of this machine's kernel; it stays until the machine is started again."""
    path = pathlib.Path("/proc/sys") / setting.replace(".", "/")
    if int(path.read_text()) < value:
        path.write_text(str(value))


def know(nodes, instances):
    """The store knows each instance as it knows its node's own agent, whose state it has a copy of."""
    store = sqlite3.connect(nodes.folder / "bench.db", timeout=10)
    columns = [line[1] for line in store.execute("PRAGMA table_info(node)")]
    for name, host, address in instances:
        values = [{"name": "?", "address": "?"}.get(column, column) for column in columns]
        given = [{"name": name, "address": address}[column] for column in columns if column in ("name", "address")]
        store.execute(f"INSERT OR REPLACE INTO node SELECT {', '.join(values)} FROM node WHERE name = ?", [*given, host])
        # As a node's agent has seen requests, so has the instance that is a copy of it.
        store.execute(
            "INSERT OR REPLACE INTO setting SELECT ?, value FROM setting WHERE name = ?",
            [f"serial/{name}", f"serial/{host}"])
    store.commit()
    store.close()


def fleet(nodes, instances, hostile=()):
    """A fleet file with the 44 entries on every instance. `hostile` are ports of the loopback."""
    lines = ["fleet: bench", "nodes:"]
    for name, host, address in instances:
        key = next(key for key in nodes.nodes[host]["hostKeys"] if key.startswith("ssh-ed25519"))
        lines.append(f'  {name}: {{address: {address}, key: {nodes.key}, hostKey: "{key}"}}')
    key = next(key for key in nodes.nodes[instances[0][1]]["hostKeys"] if key.startswith("ssh-ed25519"))
    for port in hostile:
        lines.append(f'  h{port}: {{address: 127.0.0.1, port: {port}, key: {nodes.key}, hostKey: "{key}"}}')
    names = [name for name, _, _ in instances] + [f"h{port}" for port in hostile]
    lines += ["topologies:", "  bench:"] + [f"    {name}: []" for name in names] + ["topology: bench"]
    lines += nodes.entries()
    path = nodes.folder / f"many-{len(instances)}-{len(hostile)}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def measured(argv, environment, status=(0,)):
    """Runs a program: (seconds, seconds of CPU of its own, its largest resident memory in MiB, what it said)."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment)
    said = process.stdout.read().decode(errors="replace")
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode not in status:
        raise Failure(f"{argv[1]} ended with {process.returncode}\n{said[:3000]}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


class Hostile:
    """Peers of the loopback, one of each kind, that do to an SSH client what they can."""

    MODES = ["silent", "lines", "drip", "garbage", "hugelength"]

    def __enter__(self):
        self.ports = list(range(21901, 21901 + len(self.MODES)))
        self.processes = [
            subprocess.Popen([sys.executable, TOOLS / "hostile-ssh.py", mode, str(port)], stderr=subprocess.DEVNULL)
            for mode, port in zip(self.MODES, self.ports)
        ]
        time.sleep(0.5)
        return self.ports

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


def logins(nodes, instances):
    """Seconds of `ssh node true` to all instances, as many at a time as ours are."""
    commands = [nodes.ssh(host, "true", address=address) for _, host, address in instances]
    start = time.perf_counter()
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(run, commands))
    seconds = time.perf_counter() - start
    say(f"  {len(instances)} times `ssh node true`: {seconds:.2f} s")
    return seconds


def curve(nodes, hosts, counts, rounds):
    """Nothing to do on ever more nodes, without a held connection; at the most also with hostile peers among them."""
    environment = nodes.environment
    # 125 agents of one machine share its root's inotify instances, 128 by default.
    allow("fs.inotify.max_user_instances", 8192)
    allow("fs.inotify.max_user_watches", 1 << 20)
    instances = set_up(nodes, hosts, max(counts))
    rows = []
    for count in counts:
        step = max(counts) // count
        some = instances[::step][:count]
        command = nodes.apply(fleet(nodes, some))
        runs = [measured(command, environment) for _ in range(rounds + 1)][1:]
        for seconds, cpu, memory, _ in runs:
            say(f"  {count} nodes: {seconds:.2f} s, CPU here {cpu:.2f} s, {memory:.0f} MiB")
        note = "agents and sshd on this machine"
        rows.append(limit(f"nothing to do, {count} nodes", median([r[0] for r in runs]), 25, "s", note))
        rows.append(limit(f"controller's memory, {count} nodes", max(r[2] for r in runs), 150, "MiB"))
    others = logins(nodes, instances)
    rows.append(row(
        f"nothing to do, {max(counts)} nodes, against plain logins", [r[0] for r in runs], [others], 1.0,
        note="`ssh node true` to each, 32 at a time"))
    with Hostile() as ports:
        # Known from before they turned hostile, as a node that was taken over is.
        know(nodes, [(f"h{port}", hosts[0], "127.0.0.1") for port in ports])
        plain, mixed = nodes.apply(fleet(nodes, instances)), nodes.apply(fleet(nodes, instances, ports))
        # Another file is another manifest, which the first apply of it hands over to everybody: not what is measured.
        measured(plain, environment)
        alone = [measured(plain, environment)[0] for _ in range(rounds)]
        measured(mixed, environment, status=(1,))
        pairs = []
        for before in alone:
            seconds, _, memory, said = measured(mixed, environment, status=(1,))
            named = sum(f"h{port} is out of reach" in said for port in ports)
            if named != len(ports):
                raise Failure(f"{named} of {len(ports)} hostile peers were named\n{said[:3000]}")
            say(f"  with {len(ports)} hostile peers: {seconds:.2f} s, without {before:.2f} s, {memory:.0f} MiB")
            pairs.append((seconds, before))
    # Their deadline is 15 s: where all others are done before it, it is what is waited for.
    ratio = median([with_them / max(alone, 16) for with_them, alone in pairs])
    rows.append(limit(
        f"{max(counts)} nodes with {len(ports)} hostile peers, against without", ratio, 1.1, "×",
        "the peers' own deadline of 15 s counts as without"))
    return rows
