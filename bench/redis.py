"""A Redis database of many keys, moved and compared by the agent's mover over the loopback."""

import json
import pathlib
import subprocess
import time

from tools import Failure, environment, limit, run, say, timed

PORTS = (54421, 54422)


def measure(folder, agent, keys):
    """Moves `keys` keys of every common type, then reads both sides again and compares them."""
    servers = []
    try:
        for port in PORTS:
            home = pathlib.Path(folder) / f"redis-{port}"
            home.mkdir()
            words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", home, "--loglevel", "warning"]
            servers.append(subprocess.Popen(
                ["redis-server", *map(str, words)], stdout=subprocess.DEVNULL, env=environment()))
        for port in PORTS:
            wait(port)
        say(f"  making {keys} keys")
        fill(PORTS[0], keys)
        copied, report = mover(agent, "copy")
        if report["keysWritten"] != keys:
            raise Failure(f"{report['keysWritten']} of {keys} keys were written")
        verified, found = mover(agent, "verify")
        if found["keysDiffering"] or found["keysEqual"] != keys:
            raise Failure(f"the copy differs: {json.dumps(found)[:2000]}")
        say("  copy %.2f s, verify %.2f s" % (copied, verified))
        note = f"{keys} keys: strings, hashes, lists, sets, sorted sets; half with a TTL"
        return [
            limit("Redis copy", copied, 60, "s", note=note),
            limit("Redis, both sides read again and compared", verified, 60, "s", note="type, value and TTL of each key"),
        ]
    finally:
        for server in servers:
            server.kill()
            server.wait()


def wait(port):
    for _ in range(100):
        if run(["redis-cli", "-p", port, "ping"], status=(0, 1)).strip() == "PONG":
            return
        time.sleep(0.05)
    raise Failure("redis-server did not start")


def fill(port, keys):
    """By Redis's own protocol through redis-cli --pipe: a fifth of the keys of each type."""
    def commands():
        for i in range(keys // 5):
            yield ("SET", f"string:{i}", "x" * (i % 100), "PX", str(86_400_000 + i))
            yield ("HSET", f"hash:{i}", "name", f"customer {i}", "visits", str(i))
            yield ("RPUSH", f"list:{i}", "a", "b", str(i))
            yield ("SADD", f"set:{i}", "a", "b", str(i))
            yield ("ZADD", f"sorted:{i}", str(i / 3), "a", "2", str(i))
            if i % 2 == 0:
                for kind in ("hash", "list", "set"):
                    yield ("PEXPIRE", f"{kind}:{i}", str(86_400_000 + i))
    pipe = subprocess.Popen(
        ["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment())
    for command in commands():
        words = [word.encode() for word in command]
        pipe.stdin.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    pipe.stdin.close()
    if pipe.wait() != 0:
        raise Failure("redis-cli --pipe failed")


def mover(agent, what):
    move = {
        "source": "source", "target": {"place": {"host": {"_0": "127.0.0.1", "port": PORTS[1]}}, "database": 0},
        "purpose": "durable", "existing": "refuse", "accept": [], "method": "automatic", "partBytes": 524288,
        "batchKeys": 500, "expiryTolerance": 2000,
    }
    job = json.dumps({
        "task": {"redis": {"_0": {what: {"_0": move}}}}, "secrets": {"source": f"redis://127.0.0.1:{PORTS[0]}/0"}})
    seconds, _, output = timed([agent, "task"], input=job, env=environment())
    answer = json.loads(output)
    report = answer.get("report", {}).get("_0", {}).get("redis", {}).get("_0")
    if report is None:
        raise Failure(f"the mover failed: {json.dumps(answer)[:2000]}")
    return seconds, report
