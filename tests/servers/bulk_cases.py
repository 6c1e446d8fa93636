"""HTTP/2 bulk over a lossy veth pair, and bulk transfer with and without webb."""

import json
import random
import re
import subprocess

from compare import PAIRS, Truth, compare, with_and_without
from rig import need

SERVER, CLIENT = "10.201.7.1", "10.201.7.2"
BODY = 1_000_000
REQUESTS, CONNECTIONS = 1200, 4

# Where the kernel has no netem: of what the server sends one segment in 200 is lost, of what the client
# sends one in 400, before anybody on the receiving host sees it. What is sent again comes after what
# followed it, so that order is lost, too.
DROP = """
add table ip loss
add chain ip loss in {{ type filter hook prerouting priority -300 ; }}
add rule ip loss in ip saddr {peer} ip protocol tcp numgen random mod {one_in} == 0 counter drop
"""


def two_hosts(rig):
    """The rig's cgroup and namespace are the server's; the client has its own."""
    cgroup, netns = rig.make("client")
    # In the namespace of the server from the beginning: no name can clash with one of the host.
    make = ["link", "add", "wire0", "mtu", "1500", "type", "veth", "peer", "wire0", "mtu", "1500"]
    rig.netns.ip(*make, "netns", netns.name)
    for ns, address in ((rig.netns, SERVER), (netns, CLIENT)):
        ns.ip("addr", "add", f"{address}/24", "dev", "wire0")
        ns.ip("link", "set", "wire0", "up")
        # Segments of 1500 bytes on the wire, as between hosts: nothing of 64 KiB at once.
        off = ["tso", "off", "gso", "off", "gro", "off"]
        subprocess.run(["nsenter", f"--net={ns.path}", "ethtool", "-K", "wire0", *off], capture_output=True)
    return cgroup, netns


def netem(netns):
    how = ["loss", "0.5%", "delay", "2ms", "reorder", "99%", "25%"]
    run = ["tc", "-n", netns.name, "qdisc", "add", "dev", "wire0", "root", "netem", *how]
    return subprocess.run(run, capture_output=True).returncode == 0


def lossy(rig, hosts):
    if all([netem(n) for n in hosts]):
        return "netem"
    need("nft")
    for ns, peer, one_in in zip(hosts, (CLIENT, SERVER), (400, 200), strict=True):
        text = DROP.format(peer=peer, one_in=one_in)
        subprocess.run(["nsenter", f"--net={ns.path}", "nft", "-f", "-"], input=text, text=True, check=True)
    return "nftables"


def sent_again(netns):
    out = subprocess.run(
        ["nsenter", f"--net={netns.path}", "nstat", "-asz", "TcpRetransSegs", "TcpExtTCPOFOQueue", "TcpOutSegs"],
        capture_output=True,
        text=True,
    ).stdout
    return {k: int(v) for k, v in re.findall(r"^(\w+)\s+(\d+)", out, re.M)}


def h2_bulk(rig, streams=50):
    """Two agents: one with the server's end in scope, one with the client's, at once."""
    server, load = need("nghttpd", "h2load")
    cgroup, netns = two_hosts(rig)
    (rig.dir / "www").mkdir()
    (rig.dir / "www" / "big.bin").write_bytes(random.Random(7).randbytes(BODY))
    rig.serve(server, "--no-tls", "-d", rig.dir / "www", "-a", SERVER, 8083)
    rig.listens(8083)
    by = lossy(rig, (rig.netns, netns))
    agents = {
        "by_server": rig.agent(name="server"),
        "by_client": rig.agent(name="client", cgroups=[cgroup]),
    }
    rig.capture("server.pcap", rig.netns, "wire0")
    rig.capture("client.pcap", netns, "wire0")
    said = rig.ask(
        *(load, "-n", REQUESTS, "-c", CONNECTIONS, "-m", streams, f"http://{SERVER}:8083/big.bin"),
        cgroup=cgroup,
        netns=netns,
    )
    done, ok = int(re.search(r"(\d+) done", said)[1]), int(re.search(r"(\d+) 2xx", said)[1])
    net = [sent_again(n) for n in (rig.netns, netns)]
    rig.notes.append(
        f"by {by}: {net[0]['TcpRetransSegs']} of {net[0]['TcpOutSegs']} segments sent again by the server, "
        f"{net[1]['TcpRetransSegs']} of {net[1]['TcpOutSegs']} by the client, out of order there {net[1]['TcpExtTCPOFOQueue']}"
    )
    parts, wrong = [], []
    if done != REQUESTS or ok != REQUESTS:
        wrong.append(f"h2load: {said}")
    if not net[0]["TcpRetransSegs"]:
        wrong.append("nothing was lost")
    for view, share in (("by_server", 0.97), ("by_client", 0.90)):
        truth = Truth(ok, share={view: share}, targets={"GET /big.bin": ok}, views=(view,))
        p, w = compare(agents[view], 8083, "http2", truth)
        parts += p if not parts else p[1:]
        wrong += w
        unseen = [r for r in agents[view].requests() if not r["request_bytes"] and r.get("latency_us") is not None]
        if unseen:
            wrong.append(f"{view}: {len(unseen)} latencies of requests that were not seen, such as {unseen[0]['latency_us']} us")
    return parts, wrong


SECONDS = 3


def iperf(rig):
    """Processor time of the watched cgroup per byte, with webb and without: pairs in turning order.

    Other work on the machine changes throughput much more than processor time, which is why the
    verdict is about the latter; caches and clock frequency are shared even so.
    """
    program = need("iperf3")
    rig.serve(program, "-s", "-B", "127.0.0.1", "-p", 5201)
    rig.listens(5201)

    def once(with_webb):
        agent = rig.agent(budget=10) if with_webb else None
        before = rig.cgroup.cpu_us()
        said = json.loads(rig.ask(program, "-c", "127.0.0.1", "-p", 5201, "-t", SECONDS, "-J"))
        cpu = rig.cgroup.cpu_us() - before
        if agent:
            agent.stop()
        received = said["end"]["sum_received"]
        return cpu / 1e6 / (received["bytes"] / 1e9), received["bits_per_second"] / 8e9

    parts, (_, low, _), (cpu, throughput) = with_and_without("CPU per byte", once)
    rig.notes.append(f"without webb {cpu:.3f} s CPU per GB")
    rig.notes.append(f"{throughput:.2f} GB/s, {PAIRS} pairs of {SECONDS} s")
    return parts, ["it costs processor time that can be measured"] if low > 1 else []


CASES = {
    "h2-bulk": h2_bulk,
    # The first flight fits what is captured of a message.
    "h2-bulk-40": lambda rig: h2_bulk(rig, 40),
    "iperf3": iperf,
}
