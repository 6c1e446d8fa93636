"""PostgreSQL with pgbench and psql, MariaDB with its client and mysqlslap."""

import glob
import os
import re
import shutil
import subprocess

from compare import Truth, compare
from rig import Skip, need, until


def as_user(name, *args):
    """Servers that refuse to run as root."""
    return [need("setpriv"), f"--reuid={name}", f"--regid={name}", "--clear-groups", *map(str, args)]


def postgres(rig):
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise Skip("postgresql is not installed")
    need("pgbench", "psql")
    home, data = os.path.dirname(found[-1]), rig.dir / "pg"
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    init = as_user("postgres", f"{home}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
    subprocess.run(init, check=True, capture_output=True)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", f"unix_socket_directories={data}"]
    # A fast shutdown where the rig's end is not an orderly one for its clients.
    rig.serve(*as_user("postgres", found[-1], "-D", data, *options), cwd=data)
    rig.listens(5432)
    until("it answers", lambda: "1" in rig.ask(*PSQL, "-At", "-c", "select 1", ok=None), 30)


PSQL = ["psql", "-X", "-h", "127.0.0.1", "-U", "postgres"]
PGBENCH = ["pgbench", "-n", "-h", "127.0.0.1", "-U", "postgres"]
ENV = {"PGDATABASE": "postgres"}
CLIENTS, TRANSACTIONS = 4, 250
# BEGIN, three UPDATE, SELECT, INSERT, END.
STATEMENTS = 7


def pgbench(mode):
    def case(rig):
        postgres(rig)
        rig.ask("pgbench", "-i", "-q", *PGBENCH[2:], env=ENV)
        agent = rig.agent()
        rig.capture()
        said = rig.ask(*PGBENCH, "-M", mode, "-c", CLIENTS, "-j", 2, "-t", TRANSACTIONS, env=ENV)
        done = int(re.search(r"transactions actually processed: (\d+)/", said)[1])
        failed = int((re.search(r"number of failed transactions: (\d+)", said) or [0, 0])[1])
        if (done, failed) != (CLIENTS * TRANSACTIONS, 0):
            return [], [f"pgbench: {said}"]
        # pgbench asks two things of the catalogue first. `prepared`: each client prepares each
        # statement once.
        prepares = CLIENTS * STATEMENTS if mode == "prepared" else 0
        rig.notes.append(re.search(r"tps = ([\d.]+)", said)[1].split(".")[0] + " transactions/s")
        # And statements of psql, each command line a round of its own; two of five fail.
        fail = ["select 1/0", "select * from nowhere"]
        good = ["select 'secret'", "select 42", "create table t (x int); insert into t values (1), (2)"]
        rig.ask(*PSQL, *(a for sql in fail + good for a in ("-c", sql)), ok=None, env=ENV)
        asked = done * STATEMENTS + 2 + prepares + len(fail) + len(good)
        truth = Truth(asked, errors=len(fail), targets={"BEGIN BEGIN": done, "END END": done})
        return compare(agent, 5432, "postgres", truth)

    return case


def mariadb_server(rig):
    server, client, install = need("mariadbd", "mariadb", "mariadb-install-db")
    data = rig.dir / "my"
    data.mkdir()
    shutil.chown(data, "mysql", "mysql")
    made = [install, "--no-defaults", f"--datadir={data}", "--user=mysql", "--skip-test-db"]
    subprocess.run([*made, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
    rig.serve(
        *(server, "--no-defaults", f"--datadir={data}", "--user=mysql", "--bind-address=127.0.0.1"),
        *("--port=3306", f"--socket={data}/s", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"),
    )
    rig.listens(3306)
    # Over the Unix socket: not a part of what is watched.
    local = [client, "--no-defaults", f"--socket={data}/s", "-u", "root"]
    until("it answers", lambda: "1" in rig.ask(*local, "-N", "-e", "select 1", ok=None), 30)
    remote = ["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", "load"]
    rig.ask(*local, "-e", "create user 'load'@'127.0.0.1'; grant all on *.* to 'load'@'127.0.0.1'; create database t")
    return local, remote


def counted(rig, local):
    """Questions and errors, as the server counts them."""
    rows = rig.ask(*local, "-N", "-e", "show global status where variable_name in ('Questions', 'Access_denied_errors')")
    return {k: int(v) for k, v in (line.split() for line in rows.splitlines())}


def mariadb(rig):
    local, remote = mariadb_server(rig)
    before = counted(rig, local)
    agent = rig.agent()
    rig.capture()
    # A file of statements for each of three clients; every tenth is wrong.
    asked, failing = 0, 0
    for n in range(3):
        lines = ["create table t%d (id int primary key, v varchar(300));" % n]
        for i in range(1, 1000):
            if i % 10 == 0:
                lines.append("insert into t%d values (%d, 'again');" % (n, i - 1))
            elif i % 2:
                lines.append("insert into t%d values (%d, '%s');" % (n, i, "x" * (i % 300)))
            else:
                lines.append("select * from t%d where id <= %d order by id desc limit 3;" % (n, i))
        # 9, 19, 29, … are there already.
        failing += sum(1 for i in range(1, 1000) if i % 10 == 0)
        asked += len(lines)
        text = "\n".join(lines) + "\n"
        rig.ask(local[0], *remote, "--force", "t", input=text, ok=None)
    served = counted(rig, local)["Questions"] - before["Questions"] - 1
    rig.notes.append(f"mariadb itself {served} questions")
    parts, wrong = compare(agent, 3306, "mysql", Truth(asked, errors=failing))
    # Its Questions have one more for each client: the farewell (COM_QUIT), also of the Unix socket.
    if served not in (asked, asked + 3, asked + 4):
        wrong.append(f"mariadb and its client do not agree: {served} questions, {asked}")
    return parts, wrong


def mysqlslap(rig):
    slap = need("mysqlslap")
    local, remote = mariadb_server(rig)
    before = counted(rig, local)
    agent = rig.agent()
    rig.capture()
    n, clients = 8000, 8
    rig.ask(
        *(slap, *remote, "--create-schema=t", "--query=select 'secret', 42", "--silent"),
        *(f"--number-of-queries={n}", f"--concurrency={clients}", "--iterations=1"),
    )
    served = counted(rig, local)["Questions"] - before["Questions"] - 1
    truth = Truth(n, abandoned=40, targets={"SELECT select ?, ?": n})
    parts, wrong = compare(agent, 3306, "mysql", truth)
    rig.notes.append(f"mariadb itself {served} questions")
    return parts, wrong


CASES = {f"pgbench-{mode}": pgbench(mode) for mode in ("simple", "extended", "prepared")}
CASES |= {"mariadb": mariadb, "mysqlslap": mysqlslap}
