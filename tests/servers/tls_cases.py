"""TLS: what webb costs those who do nothing but shake hands, and those who have long done so."""

import re

from compare import PAIRS, with_and_without
from rig import need

SECONDS = 2
BULK = 1 << 30


def certificate(rig):
    key, cert = rig.dir / "key.pem", rig.dir / "cert.pem"
    rig.ask(
        need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", cert, "-days", "9", "-subj", "/CN=server", ok=(0,),
    )
    return key, cert


def storm(rig):
    """Processor time of the watched cgroup per full handshake, with webb and without: pairs in
    turning order. Both ends are in the cgroup, and both are watched."""
    program = need("openssl")
    key, cert = certificate(rig)
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


def bulk(rig):
    """Processor time of the watched cgroup per byte on one connection over TLS, with webb and without. The
    handshake is a part of it, as of any connection: of a GB it is nothing."""
    key, cert = certificate(rig)
    (rig.dir / "www").mkdir()
    # All zeros; what is sent is encrypted all the same.
    with open(rig.dir / "www" / "bulk", "wb") as file:
        file.truncate(BULK)
    (rig.dir / "nginx.conf").write_text(f"""
        user root; worker_processes 1; daemon off; pid nginx.pid; error_log stderr; events {{}}
        http {{ access_log off; server {{ listen 127.0.0.1:4443 ssl; root {rig.dir}/www;
        ssl_certificate {cert}; ssl_certificate_key {key}; }} }}""")
    rig.serve(need("nginx"), "-p", rig.dir, "-c", rig.dir / "nginx.conf")
    rig.listens(4443)

    def once(with_webb):
        agent = rig.agent(budget=10) if with_webb else None
        before = rig.cgroup.cpu_us()
        ask = ("-sk", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", "https://127.0.0.1:4443/bulk")
        size, seconds = map(float, rig.ask(need("curl"), *ask).split())
        cpu = rig.cgroup.cpu_us() - before
        if agent:
            agent.stop()
        assert size == BULK, size
        return cpu / size, size / seconds

    parts, (_, low, _), (cpu, throughput) = with_and_without("CPU per byte", once)
    rig.notes.append(f"without webb {cpu * 1e3:.3f} s CPU per GB")
    rig.notes.append(f"{throughput / 1e9:.2f} GB/s, {PAIRS} pairs")
    return parts, ["it costs processor time that can be measured"] if low > 1 else []


CASES = {"tls-storm": storm, "tls-bulk": bulk}
