"""redis with redis-benchmark and redis-cli, memcached with a client of ours."""

import csv

from compare import Truth, compare
from rig import need

# What redis-benchmark asks before its tests: CONFIG GET save, CONFIG GET appendonly.
PREAMBLE = 2
# What redis-cli asks when it reads commands: COMMAND DOCS.
DOCS = 1


def redis_server(rig):
    server, cli, benchmark = need("redis-server", "redis-cli", "redis-benchmark")
    rig.serve(server, "--port", 6379, "--bind", "127.0.0.1", "--save", "", "--dir", rig.dir)
    rig.listens(6379)
    return cli, benchmark


def info(rig, cli):
    text = rig.ask(cli, "info", "all")
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def redis(rig):
    cli, benchmark = redis_server(rig)
    before = int(info(rig, cli)["total_commands_processed"])
    agent = rig.agent()
    rig.capture()
    tests, n = "ping_inline,ping_mbulk,set,get,incr,lpush,lrange_100", 4000
    said = rig.ask(benchmark, "-n", n, "-c", 10, "-t", tests, "--csv")
    # A title, then one line a test. `lrange_100` fills its list by `lpush` first.
    rows = [r for r in csv.reader(said.splitlines()) if len(r) > 2 and r[0] != "test"]
    rig.notes.append(f"{len(rows)} tests of {n}")
    wrong_ones = ["set s x", "incr s", "lpush s 1", "nosuch", "get", "get nothing"]
    rig.ask(cli, input="\n".join(wrong_ones) + "\n")
    asked = len(rows) * n + PREAMBLE + DOCS + len(wrong_ones)
    parts, wrong = compare(agent, 6379, "redis", Truth(asked, errors=4))
    after = info(rig, cli)
    errors = sum(int(v.split("=")[1]) for k, v in after.items() if k.startswith("errorstat_"))
    # Calls that were refused before they ran (unknown, or too few arguments) are not processed. Of the
    # two INFOs here the first has been counted since it asked.
    served = int(after["total_commands_processed"]) - before - 1 + 2
    rig.notes.append(f"redis itself {served}, errors {errors}")
    if served != asked or errors != 4:
        wrong.append(f"redis and its client do not agree: {served} commands, {errors} errors; {asked}, 4")
    return parts, wrong


def redis_pipeline(rig):
    cli, benchmark = redis_server(rig)
    agent = rig.agent()
    rig.capture()
    n, tests = 32000, ["set", "get"]
    rig.ask(benchmark, "-n", n, "-c", 4, "-P", 16, "-t", ",".join(tests), "--csv")
    return compare(agent, 6379, "redis", Truth(n * len(tests) + PREAMBLE, may_miss=True))


def memcached(rig):
    program = need("memcached")
    rig.serve(program, "-p", 11211, "-U", 0, "-l", "127.0.0.1", "-u", "root")
    rig.listens(11211)
    agent = rig.agent()
    rig.capture()
    said = rig.client("memcached_client.py", 11211, 4, 1500)
    truth = Truth(said["requests"], errors=said["errors"], client_errors=said["client_errors"], served=said["requests"])
    parts, wrong = compare(agent, 11211, "memcached", truth)
    if said["stats"] != said["asked"]:
        wrong.append(f"memcached and its client do not agree: {said}")
    return parts, wrong


CASES = {"redis": redis, "redis-pipeline": redis_pipeline, "memcached": memcached}
