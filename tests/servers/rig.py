"""A cgroup and network namespaces of its own, processes in them, and webb beside.

Everything is ended by its process id or through the cgroups that the rig made, and removed when the
rig's `with` block ends, however it ends.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CLIENTS = HERE / "clients"


class Skip(Exception):
    """The case cannot run here; its text says why."""


class Broken(Exception):
    """The case itself did not work: nothing is said of webb."""


def webb_binary():
    named = os.environ.get("WEBB")
    places = [Path(named)] if named else [ROOT / "target/release/webb", ROOT / "target/webb"]
    for place in places:
        if place.is_file():
            return str(place)
    raise SystemExit("no webb: build it (cargo build --release), or name one in WEBB")


def cgroup_mount():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise SystemExit("cgroup v2 is not mounted")


def need(*programs):
    """Paths of programs; /usr/sbin is looked into, too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/lib/rabbitmq/bin"
    found = []
    for name in programs:
        at = shutil.which(name, path=path)
        if at is None:
            raise Skip(f"{name} is not installed")
        found.append(at)
    return found[0] if len(found) == 1 else found


def need_module(name, package):
    run = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True)
    if run.returncode:
        raise Skip(f"{sys.executable} has no module {name} (pip install {package})")


def until(what, ask, seconds=60.0):
    """What `ask` returns once that is true. Errors of a server that is not there yet are waited out."""
    end = time.monotonic() + seconds
    while True:
        try:
            got = ask()
            if got:
                return got
        except (OSError, subprocess.SubprocessError):
            pass
        if time.monotonic() > end:
            raise Broken(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.05)


def kept():
    """A directory for captures and what webb told, where one is named."""
    where = os.environ.get("WEBB_KEEP")
    if where:
        Path(where).mkdir(parents=True, exist_ok=True)
    return Path(where) if where else None


class Cgroup:
    """A cgroup below the mount."""

    def __init__(self, name):
        self.path = cgroup_mount() / f"webb-servers-{os.getpid()}-{name}"
        self.path.mkdir()

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self):
        return [int(p) for p in (self.path / "cgroup.procs").read_text().split()]

    def cpu_us(self):
        for line in (self.path / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1])
        raise Broken("cpu.stat has no usage_usec")

    def remove(self):
        """Ends what is left in it: its processes are descendants of the rig, nobody else's."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            end = time.monotonic() + 5
            while self.pids() and time.monotonic() < end:
                for pid in self.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, sig)
                time.sleep(0.1)
        until("the cgroup can be removed", lambda: self.path.rmdir() is None, 5)


class Netns:
    """A network namespace with loopback up."""

    def __init__(self, name):
        self.name = f"webb-servers-{os.getpid()}-{name}"
        self.path = f"/run/netns/{self.name}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        subprocess.run(["ip", "-n", self.name, *args], check=True)

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=False)


class Rig:
    """One case's surroundings."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.started = []
        self.notes = []

    def __enter__(self):
        self.dir = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="webb-servers-")))
        self.dir.chmod(0o755)
        self.cgroup, self.netns = self.make("both")
        return self

    def __exit__(self, *why):
        # Agents first: they are outside of the cgroups; the stack does the rest, the newest first.
        for child in reversed(self.started):
            if child.poll() is None:
                child.terminate()
        for child in reversed(self.started):
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.stack.close()

    def make(self, name):
        cgroup, netns = Cgroup(name), None
        self.stack.callback(cgroup.remove)
        netns = Netns(name)
        self.stack.callback(netns.remove)
        return cgroup, netns

    def popen(self, args, cgroup=None, netns=None, env=None, cwd=None, **how):
        """Starts a program that is in the cgroup before it runs. `nsenter` becomes the program."""
        cgroup, netns = cgroup or self.cgroup, netns or self.netns
        how.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(
            ["nsenter", f"--net={netns.path}", "--", *map(str, args)],
            preexec_fn=cgroup.enter,
            env={**os.environ, **(env or {})},
            cwd=cwd or self.dir,
            text=True,
            **how,
        )
        self.started.append(child)
        return child

    def serve(self, *args, log="server", **how):
        """A server, with what it says in a file of the rig's directory."""
        with open(self.dir / f"{log}.log", "a") as out:
            return self.popen(args, stdout=out, stderr=subprocess.STDOUT, **how)

    def ask(self, *args, ok=(0,), seconds=300, input=None, **how):
        """A client's standard output, once it has ended."""
        if input is not None:
            how["stdin"] = subprocess.PIPE
        child = self.popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
        try:
            out, err = child.communicate(input, timeout=seconds)
        except subprocess.TimeoutExpired as e:
            raise Broken(f"{args[0]} took longer than {seconds} s") from e
        if ok is not None and child.returncode not in ok:
            raise Broken(f"{' '.join(map(str, args[:3]))} …: {child.returncode}: {(err or out)[-500:]}")
        return out if out.strip() else out + err

    def client(self, script, *args, **how):
        """What one of our clients says of what it did (JSON)."""
        return json.loads(self.ask(sys.executable, CLIENTS / script, *args, **how))

    def listens(self, port, netns=None, seconds=60):
        """Waits until a TCP port is listened on, without connecting to it."""
        netns = netns or self.netns

        def there():
            out = subprocess.run(
                ["ip", "netns", "exec", netns.name, "ss", "-Hltn", f"sport = :{port}"],
                capture_output=True,
                text=True,
            ).stdout
            return out.strip()

        until(f"port {port} is listened on", there, seconds)

    def agent(self, *flags, cgroups=None, name="webb", budget=0):
        """webb beside the cgroups; by default without a bound on its processor time: what is
        compared here is whether it counts right, not what it costs."""
        return Agent(self, cgroups or [self.cgroup], flags, name, budget)

    def capture(self, name="case.pcap", netns=None, device="lo"):
        """tcpdump in the namespace, for what is to be looked into by hand (WEBB_KEEP=directory)."""
        where = kept()
        if not where or os.environ.get("WEBB_NO_PCAP"):
            return
        netns = netns or self.netns
        child = subprocess.Popen(
            ["ip", "netns", "exec", netns.name, "tcpdump", "-i", device]
            + ["-Z", "root", "-U", "-B", "65536", "-w", str(where / name)],
            stderr=subprocess.PIPE,
            text=True,
        )
        child.stderr.readline()
        self.started.append(child)


class Agent:
    """`webb agent` outside of the cgroup, and the questions to it."""

    def __init__(self, rig, cgroups, flags, name, budget):
        self.webb, self.name = webb_binary(), name
        self.socket = f"unix:{rig.dir}/{name}.sock"
        scopes = [a for c in cgroups for a in ("--cgroup", str(c.path))]
        with open(rig.dir / f"{name}.err", "w") as err:
            self.child = subprocess.Popen(
                [self.webb, "agent", *scopes, "--listen", self.socket, "--cpu-budget", str(budget), *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )
        rig.started.append(self.child)
        said = Path(err.name)

        def serving():
            if self.child.poll() is not None:
                raise Broken(f"webb agent ended: {said.read_text()[-500:]}")
            return "serving" in said.read_text()

        until("the agent serves", serving, 30)

    def lines(self, *args):
        run = subprocess.run(
            [self.webb, *args, "-o", "json", "--server", self.socket], capture_output=True, text=True
        )
        if run.returncode:
            raise Broken(f"webb {' '.join(args)}: {run.stderr[-500:]}")
        return [json.loads(line) for line in run.stdout.splitlines()]

    def status(self):
        return self.lines("status")[0]

    def edges(self):
        return self.lines("list", "edges", "--all")

    def requests(self):
        return self.lines("list", "requests")

    def settled(self, seconds=30):
        """Edges once they have not changed for 2 s: rings are drained and slices sealed by then."""
        end, last, since = time.monotonic() + seconds, None, time.monotonic()
        while time.monotonic() < end:
            edges = self.edges()
            now = [figures(edges, view) for view in ("by_client", "by_server")]
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= 2:
                self.keep(edges)
                return edges
            time.sleep(0.25)
        raise Broken("what webb counts does not come to rest")

    def keep(self, edges):
        if where := kept():
            for what, rows in (("edges", edges), ("requests", self.requests()), ("status", [self.status()])):
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (where / f"{self.name}-{what}.json").write_text(text)

    def stop(self):
        self.child.terminate()
        self.child.wait(10)


FIGURES = ("requests", "errors", "client_errors", "unknown_outcomes", "not_timed", "missed")


def figures(edges, view, port=None, protocol=None):
    """Sums over the edges to a port: counts of the protocol, and undecoded bytes of the edges."""
    sums = dict.fromkeys((*FIGURES, "undecoded_bytes"), 0)
    for edge in edges:
        if port is not None and edge["server_port"] != port:
            continue
        seen = edge.get(view) or {}
        sums["undecoded_bytes"] += seen.get("undecoded_bytes", 0)
        for row in seen.get("protocols", []):
            if protocol is None or row["protocol"] == protocol:
                for name in FIGURES:
                    sums[name] += row.get(name, 0)
    return sums


def targets(edges, view, port=None):
    """Requests by method and target."""
    sums = {}
    for edge in edges:
        if port is None or edge["server_port"] == port:
            for row in (edge.get(view) or {}).get("targets", []):
                name = "…" if row["rest"] else f"{row.get('method', '-')} {row.get('target', '-')}"
                sums[name] = sums.get(name, 0) + row["requests"]
    return sums

