"""A MariaDB database with its keys, moved into PostgreSQL by the agent's mover and by pgloader."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import time

from postgres import Cluster, as_postgres
from tools import Failure, environment, row, run, say, timed

SCHEMA = """
CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(190) NOT NULL, born DATE, active TINYINT(1) NOT NULL,
    UNIQUE KEY users_email_key (email)) COLLATE utf8mb4_bin;
CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id INT NOT NULL, placed DATETIME(3) NOT NULL,
    total DECIMAL(10,2) NOT NULL, state VARCHAR(12) NOT NULL, note TEXT, meta JSON,
    KEY orders_user (user_id), KEY orders_placed (placed), FOREIGN KEY (user_id) REFERENCES users (id));
INSERT INTO users SELECT seq, CONCAT('user', seq, '@shop.example'), '1980-01-01' + INTERVAL seq % 9000 DAY, seq % 2
    FROM seq_1_to_{users};
INSERT INTO orders SELECT seq, 1 + seq % {users}, '2020-01-01' + INTERVAL seq SECOND, seq / 7, ELT(1 + seq % 3, 'new',
    'paid', 'sent'), REPEAT(CONCAT('note ', seq, ' é '), 6), CONCAT('{{"n": ', seq, ', "tags": ["a", "b"]}}')
    FROM seq_1_to_{orders};
"""


class Maria:
    """A server of the measurement's own."""

    def __init__(self, folder, port):
        self.folder, self.port = pathlib.Path(folder) / "maria", port
        account = pwd.getpwnam("mysql")
        self.folder.mkdir(mode=0o755)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        data = f"--datadir={self.folder}/data"
        plain = ["--no-defaults", data, "--user=mysql"]
        run(["mariadb-install-db", *plain, "--auth-root-authentication-method=normal", "--skip-test-db"])
        settings = [f"--socket={self.folder}/s", f"--port={port}", "--bind-address=127.0.0.1", "--skip-log-bin"]
        memory = ["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"]
        self.process = subprocess.Popen(
            ["mariadbd", *plain, *settings, *memory], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            if subprocess.run(self.client("-e", "SELECT 1"), capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise Failure("MariaDB did not start")

    def client(self, *arguments):
        return ["mariadb", "--no-defaults", f"--socket={self.folder}/s", "-uroot", *arguments]

    def stop(self):
        self.process.kill()
        self.process.wait()


def measure(folder, agent, rows, rounds):
    """Moves `rows` rows both ways, in turn; each of ours is compared by the mover."""
    for program in ("mariadbd", "pgloader"):
        if not shutil.which(program):
            say(f"  {program} is missing: not measured")
            return []
    source = target = None
    try:
        source = Maria(folder, 54417)
        target = Cluster(folder, "mytarget", 54418)
        target.sql("CREATE ROLE shop LOGIN")
        say(f"  making {rows} rows")
        script = "CREATE DATABASE shop; USE shop;" + SCHEMA.format(users=rows // 5, orders=rows - rows // 5)
        run(source.client(), input=script)
        ours, checks, theirs = [], [], []
        for _ in range(rounds):
            fresh(target)
            ours.append(mover(source, target, agent, "copy"))
            checks.append(mover(source, target, agent, "verify"))
            fresh(target)
            from_, to = f"mysql://root@127.0.0.1:{source.port}/shop", f"postgresql://postgres@unix:{target.folder}:{target.port}/shop"
            theirs.append(timed(["pgloader", "--on-error-stop", from_, to], env=environment(HOME="/tmp"))[0])
            say(f"  ours {ours[-1]:.2f} s, compared {checks[-1]:.2f} s; pgloader {theirs[-1]:.2f} s")
        return [
            row("MySQL to PostgreSQL with keys", ours, theirs, 1.0, note=f"pgloader; {rows} rows"),
            row("MySQL, both sides summed by column", checks, ours, 1.5, note="the copy's time"),
        ]
    finally:
        for server in (source, target):
            if server:
                server.stop()


def fresh(target):
    """An empty target."""
    target.sql("DROP DATABASE IF EXISTS shop")
    target.sql("CREATE DATABASE shop OWNER shop TEMPLATE template0")
    target.sql("CHECKPOINT")
    os.sync()


def mover(source, target, agent, verb):
    """Runs one task of the agent's mover, as the agent does: a child that reads its job and answers."""
    move = {
        "name": "legacy", "source": "source", "targetDatabase": "shop", "targetSocket": str(target.folder),
        "targetPort": target.port, "targetUser": "postgres", "owner": "shop", "schema": "public", "exclude": [],
        "rules": {}, "accept": [], "spotChecks": 3,
    }
    task = {"mysql": {"_0": {"verb": verb, "move": move}}}
    job = json.dumps({"task": task, "secrets": {"source": f"mysql://root@127.0.0.1:{source.port}/shop"}})
    seconds, _, output = timed([agent, "task"], input=job, **as_postgres(target.folder))
    report = json.loads(output).get("report", {}).get("_0", {}).get("mysql", {}).get("_0")
    if report is None:
        raise Failure(f"the mover failed: {output[:2000]}")
    if report["differenceCount"] or any(table.get("targetRows", table["rows"]) != table["rows"] for table in report["tables"]):
        raise Failure(f"the copy differs: {json.dumps(report)[:2000]}")
    return seconds
