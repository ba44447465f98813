"""How fast a node heals by itself, and what the agent's memory does meanwhile."""

import json
import time

from tools import Failure, limit, median, run, say

FILES = 1000
ROUNDS = 10
MORE = """
  - {on: all, directory: /srv/heal/d, mode: "0750"}
  - {on: all, file: /srv/heal/d/a.conf, content: "x = 1\\n"}
  - {on: all, unit: heal0.service, state: running, enabled: true,
     content: "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"}
"""
# Sessions of this measurement's own SSH logins must not count as somebody's work, and a file that is broken ten times
# in two minutes must not be taken for one that fights back. Both limits have tests of their own.
SETTINGS = {"sessionGrace": 0, "backoffQuiet": 2}

# Runs on the node, outside of any login session: what is done in one is left alone for as long as it lasts.
PROBE = r"""
import os, subprocess, sys, time

def until(whole):
    start = time.monotonic()
    while not whole():
        if time.monotonic() - start > 20: sys.exit("not healed within 20 s")
        time.sleep(0.002)
    print(round((time.monotonic() - start) * 1000, 1), flush=True)
    time.sleep(0.4)

path, folder = "/srv/heal/d/a.conf", "/srv/heal/d"
def content():
    try: return open(path).read() == "x = 1\n"
    except OSError: return False
def active(): return subprocess.run(["systemctl", "-q", "is-active", "heal0"]).returncode == 0
what = sys.argv[1]
for _ in range(int(sys.argv[2])):
    time.sleep(2.2)
    if what == "changed": open(path, "w").write("other\n"); until(content)
    if what == "deleted": os.unlink(path); until(content)
    if what == "replaced":
        os.rename(folder, "/srv/heal/old"); os.mkdir(folder, 0o777)
        until(lambda: content() and os.stat(folder).st_mode & 0o777 == 0o750)
        subprocess.run(["rm", "-rf", "/srv/heal/old"])
    if what == "killed":
        subprocess.run(["systemctl", "kill", "-s", "KILL", "heal0"], check=True)
        while active(): time.sleep(0.002)
        until(active)
"""

STORM = r"""
import os, sys, time
count = int(sys.argv[1])
paths = [f"/srv/many/f{i}.conf" for i in range(count)]
for path in paths: os.unlink(path)
end = time.monotonic() + 300
while not all(os.path.exists(path) for path in paths):
    if time.monotonic() > end: sys.exit("not healed within 300 s")
    time.sleep(0.05)
"""

AGENT = """
pid=$(systemctl show -P MainPID bascule-agent.service)
sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/rss \\1/p' /proc/$pid/status
echo cpu $(awk -v hz=$(getconf CLK_TCK) '{ print ($14 + $15) / hz }' /proc/$pid/stat)
echo healed $(bascule-agent status --json | sed -n 's/.*"healed":\\([0-9]*\\).*/\\1/p')
"""


def measure(nodes, name, seconds):
    """Heal times, and memory over 10,000 heals: 1,000 files, ten times each."""
    fleet = nodes.fleet(name)
    text = fleet.read_text() + MORE
    text += "".join(
        f'  - {{on: all, file: /srv/many/f{i}.conf, content: "number {i}\\nitem 1\\n"}}\n' for i in range(FILES))
    fleet.write_text(text)
    run(nodes.apply(fleet), env=nodes.environment)
    node = lambda *words, **more: run(  # noqa: E731
        [nodes.bascule, "lab", "exec", "--lab", nodes.lab_name, name, "--", *words], env=nodes.environment, **more)
    node("sh", "-c", f"printf '%s' '{json.dumps(SETTINGS)}' > /var/lib/bascule/settings.json; "
                     "systemctl restart bascule-agent; sleep 3")

    def agent():
        said = dict(line.split() for line in node("sh", "-c", AGENT).splitlines())
        return int(said["rss"]) / 1024, float(said["cpu"]), int(said["healed"])

    rows = []
    node("sh", "-c", "command -v python3 > /dev/null || apt-get -q -y install --no-install-recommends python3-minimal")
    for what, title, goal, rounds in [
        ("changed", "heal: a changed file", 1000, 5), ("deleted", "heal: a deleted file", 1000, 5),
        ("replaced", "heal: its directory replaced", 1000, 5), ("killed", "heal: a service after SIGKILL", 5000, 5),
    ]:
        times = [float(word) for word in node("python3", "-c", PROBE, what, str(rounds)).split()]
        say(f"  {title}: {times} ms")
        rows.append(limit(title, max(times), goal, "ms", f"median {median(times):.0f} ms of {rounds}"))
    time.sleep(10)
    before, start = agent(), time.monotonic()
    time.sleep(seconds)
    after = agent()
    rows.append(limit("heal: idle, watching 1,000 files", after[0], 16, "MiB", "resident"))
    share = (after[1] - before[1]) / (time.monotonic() - start) * 100
    rows.append(limit("heal: idle, CPU", share, 0.3, "%", f"over {seconds} s"))
    curve = []
    for _ in range(ROUNDS):
        node("python3", "-c", STORM, str(FILES))
        # What a storm took is given back once it has been quiet for five seconds.
        time.sleep(8)
        curve.append(agent())
        say(f"  {curve[-1][2]} heals: {curve[-1][0]:.1f} MiB resident")
    healed = curve[-1][2] - after[2]
    if healed < FILES * ROUNDS:
        raise Failure(f"{healed} heals were counted, not {FILES * ROUNDS}")
    rest = curve[-1][0]
    text = ", ".join(f"{rss:.1f}" for rss, _, _ in curve)
    rows.append(limit("heal: resident after 10,000 heals", rest, 16, "MiB", f"at every 1,000: {text}"))
    return rows
