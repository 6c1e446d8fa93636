"""TLS: what webb costs a server and clients that do nothing but shake hands."""

import re

from compare import PAIRS, with_and_without
from rig import need

SECONDS = 2


def storm(rig):
    """Processor time of the watched cgroup per full handshake, with webb and without: pairs in
    turning order. Both ends are in the cgroup, and both are watched."""
    program = need("openssl")
    key, cert = rig.dir / "key.pem", rig.dir / "cert.pem"
    rig.ask(
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", cert, "-days", "9", "-subj", "/CN=server", ok=(0,),
    )
    rig.serve(program, "s_server", "-quiet", "-accept", "127.0.0.1:4433", "-cert", cert, "-key", key, "-num_tickets", "0")
    rig.listens(4433)

    def once(with_webb):
        agent = rig.agent(budget=10) if with_webb else None
        before = rig.cgroup.cpu_us()
        said = rig.ask(program, "s_time", "-connect", "127.0.0.1:4433", "-new", "-time", SECONDS)
        cpu = rig.cgroup.cpu_us() - before
        done = int(re.search(r"(\d+) connections in \d+ real seconds", said).group(1))
        if agent:
            agent.stop()
        return cpu / done, done / SECONDS

    parts, (median, _, _), (cpu, throughput) = with_and_without("CPU per handshake", once)
    rig.notes.append(f"without webb {cpu:.0f} us of both ends")
    rig.notes.append(f"{throughput:.0f} handshakes/s, {PAIRS} pairs of {SECONDS} s")
    return parts, ["it costs more than 5 %"] if median > 1.05 else []


CASES = {"tls-storm": storm}
