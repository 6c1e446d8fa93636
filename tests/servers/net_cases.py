"""dnsmasq with dig and a client of ours, and QUIC with aioquic."""

import json
import re
import subprocess
import sys

from compare import VIEWS, Truth, compare
from rig import CLIENTS, figures, need, need_module, targets


def dns(rig, rate=1000):
    server, dig = need("dnsmasq", "dig")
    # No upstream servers: what is not below shop.test is refused.
    rig.serve(
        *(server, "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--port=53", "--user=root"),
        *("--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file", "--local=/shop.test/"),
        *("--address=/api.shop.test/10.1.2.3", "--host-record=db.shop.test,10.1.2.4"),
    )
    rig.listens(53)
    agent = rig.agent()
    rig.capture()
    said = rig.client("dns_client.py", 53, 1500, rate)
    # And dig: UDP and TCP, one of each kind.
    questions = [("api.shop.test", "NOERROR"), ("none.shop.test", "NXDOMAIN"), ("elsewhere.test", "REFUSED")]
    for name, rcode in questions:
        for how in ("+notcp", "+tcp"):
            out = rig.ask(dig, "@127.0.0.1", "+tries=1", how, name, "A")
            told = re.search(r"status: (\w+)", out)[1]
            if told != rcode:
                return [], [f"dig was told {told} for {name}, not {rcode}"]
            said["requests"] += 1
            said["refused"] += rcode == "REFUSED"
            said["nxdomain"] += rcode == "NXDOMAIN"
    rig.notes.append(f"{said['udp']}+3 over UDP, {said['rate']}/s, {said['tcp']}+3 over TCP")
    truth = Truth(said["requests"], errors=said["refused"], client_errors=said["nxdomain"])
    return compare(agent, 53, "dns", truth)


def quic(rig):
    need_module("aioquic", "aioquic")
    openssl = need("openssl")
    cert, key = rig.dir / "cert.pem", rig.dir / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=quic.shop.test"]
        + ["-addext", "subjectAltName=DNS:quic.shop.test", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    agent = rig.agent()
    rig.capture()
    said = json.loads(rig.ask(sys.executable, CLIENTS / "quic_client.py", 4433, cert, key))
    edges = agent.settled()
    loss, wrong, parts = agent.status()["loss"], [], [f"client 1 conversation, {said['echoed']} bytes echoed"]
    for view in VIEWS:
        seen = figures(edges, view, 4433)
        told = targets(edges, view, 4433)
        # The server's end hears the same Initial.
        parts.append(f"{view} {sum(told.values())} {' '.join(told)} errors {seen['errors']}")
        if sum(told.values()) != 1 or not all("quic.shop.test" in t for t in told):
            wrong.append(f"{view}: {told}")
        if seen["errors"] or seen["undecoded_bytes"]:
            wrong.append(f"{view}: {seen}")
    rows = [r for r in agent.requests() if r["protocol"] == "quic"]
    if len(rows) != 1 or (rows[0]["target"], rows[0]["status"]) != ("quic.shop.test", said["alpn"]):
        wrong.append(f"SNI and ALPN: {rows}")
    connections = [c for c in agent.lines("list", "connections") if c["transport"] == "udp"]
    parts.append(f"{len(connections)} conversation, SNI and ALPN {[(r['target'], r['status']) for r in rows]}")
    if len(connections) != 1:
        wrong.append(f"{len(connections)} conversations: {connections}")
    parts.append(f"loss {loss['total']}")
    if loss["total"]:
        wrong.append(f"loss {loss}")
    return parts, wrong


CASES = {"dns": dns, "dns-fast": lambda rig: dns(rig, 0), "quic": quic}
