"""nginx with wrk, hey and h2load."""

import re
from collections import Counter

from compare import Truth, compare
from rig import need

NGINX = """
daemon off; worker_processes 2; pid nginx.pid; error_log error.log warn;
events { worker_connections 512; }
http {
  log_format short '$status $request_method $uri';
  access_log access.log short;
  keepalive_requests 10000000;
  server {
    listen 8080 reuseport;
    listen 8082 http2 reuseport;
    default_type text/plain;
    location /hello { return 200 "hello\\n"; }
    location /orders/ { return 200 "an order, which is a little longer than hello\\n"; }
    location /fail { return 503 "no\\n"; }
    location /missing { return 404 "no\\n"; }
    location /big { return 200 "%s"; }
  }
}
"""

WRK = """
local paths = { "/hello?secret=1", "/orders/17", "/hello", "/missing", "/orders/18", "/hello", "/fail", "/big" }
local n = 0
request = function()
  n = n % #paths + 1
  return wrk.format("GET", paths[n])
end
"""


def nginx(rig):
    program = need("nginx")
    (rig.dir / "nginx.conf").write_text(NGINX % ("0123456789" * 300))
    server = rig.serve(program, "-p", rig.dir, "-c", rig.dir / "nginx.conf", "-e", rig.dir / "error.log")
    rig.listens(8080)
    return server


def logged(rig, server):
    """Statuses of all that nginx answered; it is ended first, so that its log is whole."""
    server.terminate()
    server.wait(10)
    lines = (rig.dir / "access.log").read_text().splitlines()
    return Counter(line.split()[0] for line in lines)


def by_status(statuses, **more):
    errors = sum(n for s, n in statuses.items() if s[0] == "5")
    client_errors = sum(n for s, n in statuses.items() if s[0] == "4")
    return Truth(errors=errors, client_errors=client_errors, served=statuses.total(), **more)


def wrk(rig):
    program = need("wrk")
    server = nginx(rig)
    agent = rig.agent()
    rig.capture()
    (rig.dir / "paths.lua").write_text(WRK)
    said = rig.ask(program, "-t2", "-c16", "-d3s", "-s", rig.dir / "paths.lua", "http://127.0.0.1:8080/")
    done = int(re.search(r"(\d+) requests in", said)[1])
    rig.notes.append(re.search(r"Requests/sec:\s*(\S+)", said)[1] + " requests/s")
    agent.settled()
    statuses = logged(rig, server)
    not_ok = int((re.search(r"Non-2xx or 3xx responses: (\d+)", said) or [0, 0])[1])
    truth = by_status(statuses, requests=done, abandoned=16)
    parts, wrong = compare(agent, 8080, "http", truth)
    if not 0 <= truth.errors + truth.client_errors - not_ok <= 16:
        wrong.append(f"nginx and wrk do not agree: {statuses}, {not_ok}")
    return parts, wrong


def hey(rig):
    program = need("hey")
    server = nginx(rig)
    agent = rig.agent()
    rig.capture()
    # 20 workers of 100 requests a second each for three paths at once.
    told = Counter()
    for path in ("/hello", "/orders/7?token=1", "/missing", "/fail", "/big"):
        args = ["-n", 6000 if path == "/hello" else 1000, "-c", 20, "-q", 250]
        said = rig.ask(program, *args, f"http://127.0.0.1:8080{path}")
        told.update({s: int(n) for s, n in re.findall(r"\[(\d+)\]\s+(\d+) responses", said)})
    agent.settled()
    statuses = logged(rig, server)
    truth = by_status(statuses, requests=told.total())
    truth.targets = {"GET /hello": 6000, "GET /orders/{id}": 1000, "GET /fail": 1000}
    parts, wrong = compare(agent, 8080, "http", truth)
    if told != statuses:
        wrong.append(f"nginx and hey do not agree: {statuses}, {told}")
    return parts, wrong


def h2load(rig, streams=10):
    program = need("h2load")
    server = nginx(rig)
    agent = rig.agent()
    rig.capture()
    base = "http://127.0.0.1:8082"
    (rig.dir / "paths").write_text("".join(f"{base}{p}\n" for p in ("/hello", "/orders/7", "/missing", "/fail", "/big")))
    said = rig.ask(program, "-n", 20000, "-c", 8, "-m", streams, "-i", rig.dir / "paths")
    done = int(re.search(r"(\d+) done", said)[1])
    agent.settled()
    statuses = logged(rig, server)
    codes = dict((c, int(n)) for n, c in re.findall(r"(\d+) (\dxx)", said))
    truth = by_status(statuses, requests=done)
    rig.notes.append(re.search(r"([\d.]+ req/s)", said)[1])
    parts, wrong = compare(agent, 8082, "http2", truth)
    if (codes["4xx"], codes["5xx"]) != (truth.client_errors, truth.errors):
        wrong.append(f"nginx and h2load do not agree: {statuses}, {codes}")
    return parts, wrong


CASES = {"nginx-wrk": wrk, "nginx-hey": hey, "nginx-h2load": h2load}
# The first flight of 50 requests is longer than what is captured of a message.
CASES["nginx-h2load-50"] = lambda rig: h2load(rig, 50)
