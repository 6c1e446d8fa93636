"""TLS stacks against each other: what both ends say, what webb told of it live, and what it tells of a
capture of the same connections. Live and capture are equal, and neither contradicts the ends."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

from bulk_cases import CLIENT, SERVER, two_hosts
from rig import CLIENTS, Broken, Skip, kept, need, until
from stacks import CLIENTS_OF, SANS, SERVERS, SNI, Place, certificates, cipher_names, python_client, seen

# What is compared between live and capture.
FIELDS = (
    *("status", "confidence", "inherits", "client_cert", "version", "cipher", "group", "post_quantum", "sni"),
    *("alpn_offered", "alpn", "resumed", "retried", "outcome", "alert", "client_sans", "server_sans"),
)
PORTS = {name: 4100 + 10 * i for i, name in enumerate(SERVERS)}
NONE, OPTIONAL, REQUIRED = range(3)
SLICED = 1000


@dataclass
class Step:
    """One handshake."""

    name: str
    server: str
    version: str
    asks: int
    cert: str = "-"
    session: str = "-"
    resumes: bool = False
    # Both mutual and other sessions with this server and port: which one is resumed may be unknown.
    mixed: bool = False
    sliced: bool = False

    @property
    def port(self):
        return PORTS[self.server] + self.asks

    def line(self, place, alpn):
        address, port = ("127.0.0.1", self.port + SLICED) if self.sliced else (place.address, self.port)
        session = f"{self.server}-{self.version}-{self.session}" if self.session != "-" else "-"
        return f"{self.name} {address} {port} {SNI} {self.version} {self.cert} {session} {alpn}"


def steps(server):
    """The handshakes of a client with a server."""
    for v in ("1.3", "1.2"):

        def step(what, asks, v=v, **more):
            return Step(f"{server}/{v}/{what}", server, v, asks, **more)

        yield step("plain", NONE, session="plain")
        yield step("plain-resumed", NONE, session="plain", resumes=True)
        yield step("mutual", REQUIRED, cert="client", session="mutual")
        yield step("mutual-resumed", REQUIRED, cert="client", session="mutual", resumes=True)
        yield step("declined", OPTIONAL, session="declined")
        yield step("given", OPTIONAL, cert="client", session="given")
        yield step("declined-resumed", OPTIONAL, session="declined", resumes=True, mixed=True)
        yield step("given-resumed", OPTIONAL, cert="client", session="given", resumes=True, mixed=True)
        yield step("refused", REQUIRED, cert="other")
        yield step("missing", REQUIRED)
        yield step("sliced-plain", NONE, sliced=True)
        yield step("sliced-mutual", REQUIRED, cert="client", sliced=True)
        yield step("sliced-declined", OPTIONAL, sliced=True)


GROUPS = {"prime256v1": "secp256r1", "p-256": "secp256r1", "secp384r1": "secp384r1", "p-384": "secp384r1"}


def group(name):
    return GROUPS.get(name.lower(), name.lower()) if name else None


@dataclass
class Ends:
    """What the two ends of a connection say of it."""

    ok: bool
    resumed: bool
    peer: bool
    cipher: str | None
    group: str | None

    @staticmethod
    def of(step, client, ciphers):
        """Also what is wrong with it: a case that does not do what it is for proves nothing."""
        server, wrong = seen(client.get("answer", "")), []
        # nginx continues without a certificate that it can verify, and answers 400.
        fails = step.name.endswith(("refused", "missing")) and step.server != "nginx"
        if (server is None) != fails:
            wrong.append(f"{step.name}: the ends {'fail' if server is None else 'do not fail'}: {client}")
        server = server or {}
        told = {}
        for what, same in (("cipher", lambda c: ciphers.get(c, c)), ("resumed", bool), ("group", group)):
            both = {same(end[what]) for end in (client, server) if end.get(what) is not None}
            if len(both) > 1:
                wrong.append(f"{step.name}: the ends do not agree on {what}: {client} {server}")
            told[what] = both.pop() if both else None
        ends = Ends(bool(server), bool(told["resumed"]), bool(server.get("peer")), told["cipher"], told["group"])
        if ends.ok and ends.peer != (step.cert != "-" and step.asks != NONE):
            wrong.append(f"{step.name}: the server's view of the client's certificate is {ends.peer}")
        return ends, wrong


def contradictions(step, ends, tls, alpn):
    """What of a verdict is not what both ends say."""
    mutual = step.cert != "-" and step.asks != NONE
    if not ends.ok:
        status = "failed"
    elif ends.resumed:
        status = "resumed"
    else:
        status = "mtls" if ends.peer else "tls"
    if ends.resumed or step.asks == NONE:
        client_cert = "not-asked"
    else:
        client_cert = "presented" if mutual else "declined"
    want = {
        "status": (status,),
        "client_cert": (client_cert,),
        "version": (f"TLS {step.version}",),
        "sni": (SNI,),
        "alpn_offered": (alpn.split(",") if alpn != "-" else [],),
        "outcome": ("established" if ends.ok else "failed",),
    }
    if ends.cipher:
        want["cipher"] = (ends.cipher,)
    if ends.resumed:
        inherits = "mtls" if ends.peer else "tls"
        want["inherits"] = (inherits, "unknown") if step.mixed else (inherits,)
    if step.version == "1.2" and not ends.resumed:
        want["server_sans"] = (SANS["server"],)
        want["client_sans"] = (SANS[step.cert] if mutual else None,)
    wrong = [f"{k} {tls.get(k)}, not {' or '.join(map(str, w))}" for k, w in want.items() if tls.get(k) not in w]
    if ends.resumed != (tls.get("resumed") is not None):
        wrong.append(f"resumed {tls.get('resumed')}, not {ends.resumed}")
    # A resumed session of TLS 1.2 has no key exchange of its own.
    if ends.group and not (ends.resumed and step.version == "1.2") and group(tls.get("group")) != ends.group:
        wrong.append(f"group {tls.get('group')}, not {ends.group}")
    return wrong


class Capture:
    """tcpdump on the wire, until it is asked for what webb tells of it."""

    def __init__(self, rig, netns, device):
        where = kept() or rig.dir
        self.file = where / "stacks.pcap"
        # Packets have room for the longest that is said here, so that the buffer has room for many.
        room = 2048 if device == "wire0" else 20_000
        words = ["tcpdump", "-i", device, "-Z", "root", "--immediate-mode", "-s", room, "-B", 262_144, "-w", self.file]
        self.child = subprocess.Popen(
            ["nsenter", f"--net={netns.path}", "--", *map(str, words)], stderr=subprocess.PIPE, text=True
        )
        rig.started.append(self.child)
        self.child.stderr.readline()

    def connections(self, agent):
        self.child.terminate()
        said = self.child.communicate(timeout=20)[1]
        if "0 packets dropped by kernel" not in said:
            raise Broken(f"tcpdump lost packets: {said}")
        words = [agent.webb, "--file", self.file, "list", "connections", "--all", "-o", "json"]
        run = subprocess.run(words, capture_output=True, text=True)
        if run.returncode:
            raise Broken(f"webb --file: {run.stderr[-500:]}")
        return [json.loads(line) for line in run.stdout.splitlines()]


def by_ports(rows):
    return {(row["client"]["port"], row["server"]["port"]): row for row in rows if row.get("client")}


def live(agent, wanted):
    """The connections once all are over and have not changed."""
    last = None

    def settled():
        nonlocal last
        rows = by_ports(agent.lines("list", "connections", "--all"))
        now = [json.dumps(rows.get(key, {}).get("tls")) for key in wanted]
        over = all(key in rows and rows[key]["state"] != "open" for key in wanted)
        same, last = now == last, now
        return rows if over and same else None

    try:
        return until("live connections are over", settled, 30)
    except Broken:
        return by_ports(agent.lines("list", "connections", "--all"))


def slicer(place, servers):
    """What passes connections on byte by byte, and where it says by which port."""
    ports = [PORTS[s] + i for s in servers for i in range(3)]
    words = [f"{port + SLICED}:{place.address}:{port}" for port in ports]
    log = "slicer"
    where = {"cgroup": place.client_cgroup, "netns": place.client_netns}
    place.rig.serve(sys.executable, CLIENTS / "slicer.py", *words, log=log, **where)
    for port in ports:
        place.rig.listens(port + SLICED, place.client_netns)
    return place.rig.dir / f"{log}.log"


def hosts(rig, loopback):
    """Two hosts and a wire, or one with loopback. The device to capture on."""
    certs = certificates(rig)
    if loopback:
        return Place(rig, certs, "127.0.0.1", rig.cgroup, rig.netns, "127.0.0.1"), "lo"
    cgroup, netns = two_hosts(rig)
    return Place(rig, certs, SERVER, cgroup, netns, CLIENT), "wire0"


def start(place, names):
    """The servers that can be had."""
    need("tcpdump")
    servers = []
    for name in names:
        try:
            SERVERS[name](place, PORTS[name])
            servers.append(name)
        except Skip as why:
            place.rig.notes.append(f"without {name}: {why}")
    for name in servers:
        for i in range(3):
            place.rig.listens(PORTS[name] + i)
    return servers


@dataclass
class Stacks:
    """A case: a client's stack with all servers."""

    ask: object
    alpn: str = "webb/1,http/1.1"
    loopback: bool = False
    # An agent for each end, which sees nothing of the other, instead of one for both.
    one_end: bool = False
    # The bytes that the client's hellos of TLS 1.3 have, the least and the most.
    hello: tuple = (0, 65536)

    def agents(self, place):
        rig, client = place.rig, place.client_cgroup
        if self.one_end:
            return {"client's end": rig.agent(name="c", cgroups=[client]), "server's end": rig.agent(name="s")}
        return {"live": rig.agent(cgroups=[rig.cgroup] if self.loopback else [rig.cgroup, client])}

    def __call__(self, rig):
        place, device = hosts(rig, self.loopback)
        servers = start(place, SERVERS)
        relayed = slicer(place, servers)
        agents = self.agents(place)
        capture = Capture(rig, place.client_netns, device)
        plan = [step for server in servers for step in steps(server)]
        said = {row["name"]: row for row in self.ask(place, [step.line(place, self.alpn) for step in plan])}
        passed = [json.loads(line) for line in relayed.read_text().splitlines()]
        upstream = {(row["from"], row["at"]): row["port"] for row in passed if "from" in row}
        keys = {}
        for step in plan:
            if step.name not in said:
                raise Broken(f"the client says nothing of {step.name}")
            port = said[step.name]["port"]
            keys[step.name] = (upstream[port, step.port + SLICED] if step.sliced else port, step.port)
        if len(set(keys.values())) != len(keys):
            raise Broken("the client used a connection twice")
        views = {name: live(agent, list(keys.values())) for name, agent in agents.items()}
        views["capture"] = by_ports(capture.connections(next(iter(agents.values()))))
        parts, wrong = self.judge(rig, plan, said, keys, views)
        lengths = {row["port"]: row["record"] for row in passed if "record" in row}
        sliced = [s for s in plan if s.sliced and s.version == "1.3"]
        hellos = sorted(lengths.get(keys[s.name][0], 0) for s in sliced)
        if hellos:
            rig.notes.append(f"{2 * len(hellos)} hellos in single bytes, of TLS 1.3 {hellos[0]} to {hellos[-1]} bytes")
            if hellos[0] < self.hello[0] or hellos[-1] > self.hello[1]:
                wrong.append(f"hellos are not of {self.hello} bytes")
        for name, agent in agents.items():
            if (loss := agent.status()["loss"])["total"]:
                wrong.append(f"{name}: loss {loss}")
        return parts, wrong

    def judge(self, rig, plan, said, keys, views):
        """Words for each server: connections told alike in all views, resumed ones, contradictions."""
        ciphers, wrong, sums = cipher_names(), [], {}
        for step in plan:
            ends, problems = Ends.of(step, said[step.name], ciphers)
            of = sums.setdefault(step.server, Counter())
            told = {}
            for view, rows in views.items():
                row = rows.get(keys[step.name])
                tls = (row or {}).get("tls")
                if tls is None:
                    problems.append(f"{step.name}: {view}: {'no verdict' if row else 'no connection'}")
                    continue
                told[view] = {k: tls.get(k) for k in FIELDS}
                bad = contradictions(step, ends, tls, self.alpn)
                of["contradictions"] += bool(bad)
                of["unknown"] += tls.get("inherits") == "unknown"
                if bad:
                    problems.append(f"{step.name}: {view}: {'; '.join(bad)}: {tls['evidence']} {keys[step.name]}")
            differ = [k for k in FIELDS if len({json.dumps(t[k]) for t in told.values()}) > 1]
            of.update(all=1, equal=len(told) == len(views) and not differ, resumed=ends.resumed)
            for k in differ:
                each = ", ".join(f"{view} {t[k]}" for view, t in told.items())
                problems.append(f"{step.name}: {k}: {each} {keys[step.name]}")
            wrong += problems
        parts = [
            f"{server} {n['equal']}/{n['all']} equal, {n['resumed']} resumed, {n['contradictions']} contradictions"
            for server, n in sums.items()
        ]
        if unknown := sum(n["unknown"] for n in sums.values()):
            rig.notes.append(f"{unknown} times unknown whose session it is")
        return parts, wrong


def pyopenssl(*groups):
    return lambda place, lines: python_client(place, lines, "pyopenssl", *groups)


TWO_SHARES = "*X25519MLKEM768:*SecP384r1MLKEM1024:*X25519:*prime256v1"
THREE_SHARES = "*X25519MLKEM768:*SecP256r1MLKEM768:*SecP384r1MLKEM1024:*X25519:prime256v1"
LONG = ",".join(f"{letter * 200}/1" for letter in "abc")
CASES = {f"tls-stacks-{name}": Stacks(ask) for name, ask in CLIENTS_OF.items()}
CASES |= {
    # Nothing but a post-quantum share: what does not know it asks for another hello.
    "tls-stacks-retried": Stacks(pyopenssl("*X25519MLKEM768:X25519:prime256v1")),
    # All that the kernel hands over of a client that may speak TLS 1.3, nearly, and more than that.
    "tls-stacks-hello-4k": Stacks(pyopenssl(TWO_SHARES), alpn=f"{LONG},http/1.1", hello=(3800, 4091)),
    "tls-stacks-hello-over-4k": Stacks(pyopenssl(THREE_SHARES), hello=(4200, 5000)),
    "tls-stacks-loopback": Stacks(pyopenssl(), loopback=True),
    "tls-stacks-one-end": Stacks(pyopenssl(), one_end=True),
    "tls-stacks-one-end-go": Stacks(CLIENTS_OF["go"], one_end=True),
}
