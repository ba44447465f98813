"""Throwaway nodes, and fleets that describe the same 44 entries on some of them."""

import json
import os
import pathlib
import shutil

from tools import run, say

LAB = "bascule-bench"
PACKAGES = [
    "cron", "haproxy", "memcached", "nginx", "postgresql-15", "prometheus-node-exporter", "redis-server", "rsyslog",
]
UNITS = [
    "cron", "haproxy", "memcached", "nginx", "postgresql", "prometheus-node-exporter", "redis-server", "rsyslog",
]
TEMPLATE = """# {{name}}
listen = 127.0.0.1:{{port}}
workers = {{workers}}
log = /var/log/app/{{name}}.log
"""


class Nodes:
    """The nodes of one run, all blank and of one release, and the SSH login of an administrator on each."""

    def __init__(self, bascule, folder, agents, image="debian12"):
        self.bascule, self.folder, self.image = bascule, pathlib.Path(folder), image
        # Connections are held only where that is what is measured.
        self.environment = {**os.environ, "BASCULE_AGENTS": str(agents), "BASCULE_HOLD": "0"}
        self.key = self.folder / "key"
        self.known = self.folder / "known_hosts"
        self.nodes = {}
        self.lab_name = LAB
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key])
        (self.folder / "entry.conf").write_text(TEMPLATE)

    def lab(self, *words):
        return run([self.bascule, "lab", words[0], "--lab", LAB, *words[1:]], env=self.environment)

    def up(self, *names):
        say(f"nodes: {' '.join(names)}")
        for line in self.lab("up", "--image", self.image, "--json", "--key", f"{self.key}.pub", *names).splitlines():
            node = json.loads(line)
            self.nodes[node["name"]] = node
        with self.known.open("w") as file:
            for node in self.nodes.values():
                file.writelines(f"{node['address']} {key}\n" for key in node["hostKeys"])

    def down(self, *names):
        self.lab("down", *names)

    def inside(self, name, *command):
        """The command line that runs a program on a node as root, without SSH."""
        return [self.bascule, "lab", "exec", "--lab", LAB, name, "--", *command]

    def ssh(self, name, *command, port=None, address=None):
        """The command line of OpenSSH for a command on a node, without a shared connection."""
        return [
            "ssh", "-F", "none", "-i", str(self.key), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
            "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={self.known}", "-o", f"HostKeyAlias={self.nodes[name]['address']}",
            *(["-p", str(port)] if port else []), f"root@{address or self.nodes[name]['address']}", *command,
        ]

    def warm(self, first, *others):
        """The archives of all packages into apt's cache on each node, so that no measurement waits for a mirror."""
        say("filling the nodes' package caches")
        options = "-q -y --no-install-recommends --download-only"
        run(self.ssh(first, f"apt-get -q update && apt-get {options} install {' '.join(PACKAGES)}"))
        source = pathlib.Path(self.nodes[first]["root"]) / "var/cache/apt/archives"
        archives = sorted(source.glob("*.deb"))
        for name in others:
            target = pathlib.Path(self.nodes[name]["root"]) / "var/cache/apt/archives"
            for archive in archives:
                shutil.copyfile(archive, target / archive.name)
        return len(archives)

    def fleet(self, *names):
        """A fleet file with the 44 entries on these nodes. All of them are one fleet, with one store."""
        lines = ["fleet: bench", "nodes:"]
        for name, node in self.nodes.items():
            key = next(key for key in node["hostKeys"] if key.startswith("ssh-ed25519"))
            lines.append(f'  {name}: {{address: {node["address"]}, key: {self.key}, hostKey: "{key}"}}')
        lines += ["topologies:", f"  bench: {{{', '.join(f'{name}: []' for name in names)}}}", "topology: bench"]
        lines += self.entries()
        path = self.folder / f"{'-'.join(names)}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def entries(self):
        """The 44 entries, on all nodes of a fleet file."""
        lines = ["resources:", f"  - {{on: all, package: [{', '.join(PACKAGES)}]}}"]
        lines += [f"  - {{on: all, user: svc{i}, system: true, shell: /usr/sbin/nologin}}" for i in range(5)]
        lines += [f'  - {{on: all, directory: /srv/app/d{i}, mode: "0750"}}' for i in range(10)]
        for i in range(20):
            variables = f"{{name: entry{i}, port: {9000 + i}, workers: {i % 4 + 1}}}"
            content = f'template: entry.conf, vars: {variables}, mode: "0640"'
            lines.append(f"  - {{on: all, file: /srv/app/entry{i}.conf, {content}}}")
        lines += [f"  - {{on: all, unit: {unit}.service, state: running, enabled: true}}" for unit in UNITS]
        return lines

    def command(self, fleet, *words):
        return [self.bascule, *words, "--file", str(fleet), "--store", str(self.folder / "bench.db")]

    def bootstrap(self, *names):
        say("bootstrapping the agents")
        for name in names:
            run(self.command(self.fleet(name), "node", "bootstrap", name, "--yes"), env=self.environment)

    def apply(self, fleet):
        return self.command(fleet, "apply", "--yes")
