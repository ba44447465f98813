"""A PostgreSQL database with its indexes, copied by the agent's mover, by pg_dump and pg_restore, and by pgcopydb."""

import argparse
import json
import os
import pathlib
import pwd
import shutil
import sys

from tools import Failure, environment, row, run, say, timed

# Where the release's own version is: 15 on Debian 12, 17 on Debian 13.
BINARIES = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)
JOBS = 2
PGCOPYDB = shutil.which("pgcopydb")
SETTINGS = """
listen_addresses = ''
shared_buffers = 256MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
"""


class Cluster:
    """A server of the measurement's own, reached by its socket only."""

    def __init__(self, folder, name, port):
        self.folder, self.port = pathlib.Path(folder) / name, port
        account = pwd.getpwnam("postgres")
        self.folder.mkdir(mode=0o755)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.data = self.folder / "data"
        locale = ["-E", "UTF8", "--locale=C.UTF-8"]
        self.run("initdb", "-D", self.data, "-U", "postgres", *locale, "--auth=trust", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {port}\nunix_socket_directories = '{self.folder}'\n")
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start")

    def run(self, program, *arguments):
        return run([BINARIES / program, *arguments], **as_postgres(self.folder))

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def to(self, database):
        return ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", database]

    def sql(self, text, database="postgres"):
        return self.psql(database, "-A", "-t", "-c", text).strip()

    def psql(self, database, *arguments):
        return self.run("psql", *self.to(database), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments)


def as_postgres(folder):
    """The servers refuse to run as root, and the mover logs in as the user that it is."""
    account = pwd.getpwnam("postgres")
    login = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return {**login, "cwd": folder, "env": environment(HOME="/nonexistent")}


def measure(folder, agent, rows, rounds):
    """Copies `rows` rows there with each tool, in turn, each into a new server; each copy of the mover is verified."""
    source = None
    try:
        source = Cluster(folder, "source", 54415)
        say(f"  making {rows} rows")
        source.sql("CREATE ROLE shop LOGIN")
        source.sql("CREATE DATABASE shop OWNER shop")
        schema = (pathlib.Path(__file__).parent / "shop.sql").read_text()
        source.psql("shop", "-v", f"orders={rows // 4}", "-f", write(folder, schema))
        source.sql("VACUUM ANALYZE", "shop")
        size = int(source.sql("SELECT pg_database_size('shop')")) / 2**20
        say(f"  {size:.0f} MiB with indexes")
        copies, proofs, verifications, dumps, restores, clones = [], [], [], [], [], []

        def ours(target):
            seconds, report = mover(source, target, agent, "copy")
            copies.append(seconds)
            proofs.append(report["copied"]["_0"]["proof"]["seconds"])
            verifications.append(mover(source, target, agent, "verify")[0])
            say("  copy %.2f s (of it the proof %.2f s), verify %.2f s" % (seconds, proofs[-1], verifications[-1]))

        def dumped(target):
            dump = target.folder / "dump"
            jobs = ["-j", str(JOBS)]
            out = [BINARIES / "pg_dump", *source.to("shop"), "-Fd", *jobs, "-f", dump]
            dumps.append(timed(out, **as_postgres(folder))[0])
            back = [BINARIES / "pg_restore", *target.to("shop"), *jobs, dump]
            restores.append(timed(back, **as_postgres(folder))[0])
            say("  dump %.2f s, restore %.2f s" % (dumps[-1], restores[-1]))

        def cloned(target):
            clones.append(clone(source, target, folder))
            say("  pgcopydb %.2f s" % clones[-1])

        tools = [ours, dumped, cloned] if PGCOPYDB else [ours, dumped]
        for number in range(rounds):
            for tool in tools if number % 2 == 0 else reversed(tools):
                into_new_server(tool, source, folder)
        both = [a + b for a, b in zip(dumps, restores)]
        plain = [a - b for a, b in zip(copies, proofs)]
        theirs = f"pg_dump -Fd -j{JOBS}, then pg_restore -j{JOBS}; {rows} rows, {size:.0f} MiB"
        rows_out = [
            row("PostgreSQL copy with indexes", plain, both, 1.0, note=theirs),
            row("PostgreSQL copy with indexes, proved", copies, both, 1.0, note=theirs),
            row(
                "PostgreSQL, the proof beside the copy", proofs, plain, 0.5,
                note="the copy's own time; digests taken in passing"),
            row("PostgreSQL, both sides read again", verifications, copies, 1.5, note="the proved copy's time"),
        ]
        if clones:
            version = run([PGCOPYDB, "--version"]).split()[2]
            note = f"pgcopydb {version} clone, {JOBS} table jobs, {JOBS} index jobs, tables split at 128 MiB"
            rows_out.insert(1, row("PostgreSQL copy with indexes", plain, clones, 1.0, note=note))
            # What the two promises make together.
            rows_out.insert(3, row("PostgreSQL copy with indexes, proved", copies, clones, 1.5, note=note + "; no proof"))
        return rows_out
    finally:
        if source:
            source.stop()


def write(folder, text):
    path = pathlib.Path(folder) / "shop.sql"
    path.write_text(text)
    path.chmod(0o644)
    return path


def into_new_server(tool, source, folder):
    """A server that has its files of WAL already from an earlier copy would be faster than the first one."""
    target = Cluster(folder, "target", 54416)
    try:
        target.sql("CREATE ROLE shop LOGIN")
        target.sql("CREATE DATABASE shop OWNER shop TEMPLATE template0")
        # Nothing of the last copy is left to be written.
        target.sql("CHECKPOINT")
        source.sql("CHECKPOINT")
        os.sync()
        tool(target)
    finally:
        target.stop()
        shutil.rmtree(target.folder)


def clone(source, target, folder):
    """The same by pgcopydb, which proves nothing."""
    work = target.folder / "pgcopydb"
    shutil.rmtree(work, ignore_errors=True)
    address = "host=%s port=%d user=postgres dbname=shop"
    argv = [
        PGCOPYDB, "clone", "--source", address % (source.folder, source.port),
        "--target", address % (target.folder, target.port), "--dir", work, "--table-jobs", JOBS, "--index-jobs", JOBS,
        "--split-tables-larger-than", "128MB", "--skip-large-objects"]
    options = as_postgres(folder)
    options["env"] = {**options["env"], "PATH": f"{BINARIES}:{os.environ['PATH']}"}
    return timed(argv, **options)[0]


def mover(source, target, agent, what):
    """Runs one task of the agent's mover, as the agent does: a child that reads its job and answers. Gives the seconds
    and the report."""
    move = {
        "source": "source", "targetDatabase": "shop", "targetSocket": str(target.folder), "targetPort": target.port,
        "targetUser": "postgres", "owner": "shop", "parallelism": JOBS, "allowNonEmptyTarget": False,
        "acceptedFindings": [], "fenceGrace": 2,
    }
    case = {"copy": {"copy": {"_0": move}}, "verify": {"verify": {"_0": move}}}[what]
    address = f"host={source.folder} port={source.port} user=postgres dbname=shop"
    job = json.dumps({"task": {"postgres": {"_0": case}}, "secrets": {"source": address}})
    seconds, _, output = timed([agent, "task"], input=job, **as_postgres(target.folder))
    answer = json.loads(output)
    report = answer.get("report", {}).get("_0", {}).get("postgres", {}).get("_0")
    if report is None:
        raise Failure(f"the mover failed: {json.dumps(answer)[:2000]}")
    if what == "verify":
        found = report["verified"]["_0"]
        if found["differingTables"] or found["differingSequences"] or found["shapeDifferences"]:
            raise Failure(f"the copy differs: {json.dumps(found)[:2000]}")
    return seconds, report


def main():
    """The measurement alone, as a throwaway node runs it: rows as JSON on standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where the servers' folders are made")
    parser.add_argument("agent")
    parser.add_argument("rows", type=int)
    parser.add_argument("rounds", type=int)
    options = parser.parse_args()
    print(json.dumps(measure(options.folder, options.agent, options.rows, options.rounds)))


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        say(f"bench: {failure}")
        sys.exit(1)
