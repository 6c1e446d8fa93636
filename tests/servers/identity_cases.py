"""Certificates of TLS 1.3 as the libraries of both ends have them, `--tls-identities`.

The libraries are copies: a probe is in every process that maps its file, and these nobody else maps."""

import shutil
import subprocess
from pathlib import Path

from rig import need, until
from stacks import SANS, certificates

LIBRARIES = (
    *("libcrypto.so.3", "libssl.so.3", "libgnutls.so.30"),
    *("libnss3.so", "libssl3.so", "libsmime3.so", "libnssutil3.so"),
)
NODE = """
const fs = require('fs')
const with_ = n => fs.readFileSync(n)
require('tls').createServer({
  key: with_('server.key'), cert: with_('server.pem'), ca: with_('ca.pem'), requestCert: true, minVersion: 'TLSv1.3',
}, s => { s.on('error', () => {}); s.end('hello') }).listen(4305, '127.0.0.1')
"""
NGINX = """
daemon off; pid nginx.pid; error_log stderr; worker_processes 2; events {{}}
http {{ access_log off; server {{
    listen 127.0.0.1:4304 ssl; ssl_protocols TLSv1.3; ssl_verify_client on; return 200 "ok";
    ssl_certificate {0}/server.pem; ssl_certificate_key {0}/server.key; ssl_client_certificate {0}/ca.pem;
}} }}
"""


def libraries(rig):
    """Copies of what is installed."""
    to = rig.dir / "libraries"
    to.mkdir()
    for line in subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines():
        name, path = line.split()[0], line.split()[-1]
        if name in LIBRARIES and not (to / name).exists():
            shutil.copy(path, to / name)
    return to


def database(certs, env):
    """NSS keeps certificates in a database."""
    nss = certs / "nss"
    nss.mkdir()
    where = f"sql:{nss}"

    def run(*words):
        subprocess.run(words, cwd=certs, env=env, check=True, capture_output=True)

    run("certutil", "-N", "-d", where, "--empty-password")
    run("certutil", "-A", "-d", where, "-n", "ca", "-t", "CT,C,C", "-i", "ca.pem")
    for name in ("server", "client"):
        run("openssl", "pkcs12", "-export", "-in", f"{name}.pem", "-inkey", f"{name}.key", "-name", name,
            "-out", f"{name}.p12", "-passout", "pass:x")  # fmt: skip
        run("pk12util", "-i", f"{name}.p12", "-d", where, "-W", "x")
    return where


def identities(rig):
    """Each client with each server, client certificates required: what webb says both certificates are."""
    openssl, gnutls_cli, tstclnt = need("openssl"), need("gnutls-cli"), need("tstclnt")
    certs = certificates(rig)
    of = libraries(rig)
    env = {"LD_LIBRARY_PATH": str(of)}
    nss = database(certs, None)
    shutil.copy(Path(need("node")).resolve(), rig.dir / "node")
    (rig.dir / "node.js").write_text(NODE)
    (rig.dir / "nginx.conf").write_text(NGINX.format(certs))
    own_mount = f"mount -t tmpfs none /mnt && cp -r {of} /mnt/l && LD_LIBRARY_PATH=/mnt/l exec"
    s_server = f"{openssl} s_server -quiet -tls1_3 -cert server.pem -key server.key -CAfile ca.pem -Verify 2 -accept"
    servers = {
        4301: ("openssl", s_server.split() + ["4301"]),
        4302: ("gnutls", [need("gnutls-serv"), "-p", "4302", "--http", "--require-client-cert",
                          "--x509certfile", "server.pem", "--x509keyfile", "server.key", "--x509cafile", "ca.pem",
                          "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"]),
        4303: ("nss", [need("selfserv"), "-d", nss, "-n", "server", "-p", "4303", "-V", "tls1.3:tls1.3", "-rr"]),
        4304: ("nginx", [need("nginx"), "-p", rig.dir, "-c", rig.dir / "nginx.conf"]),
        4305: ("node", [rig.dir / "node", rig.dir / "node.js"]),
        # In a mount namespace, as in a container.
        4306: ("container", [need("unshare"), "-m", "sh", "-c", f"{own_mount} {s_server} 4306"]),
    }  # fmt: skip
    for port, (name, command) in servers.items():
        how = {} if name == "container" else {"env": env}
        rig.serve(*command, log=name, cwd=certs, stdin=subprocess.PIPE, **how)
        rig.listens(port)
    clients = {
        "openssl": lambda port, sni: [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", sni,
                                      "-tls1_3", "-cert", "client.pem", "-key", "client.key"],
        "gnutls": lambda port, sni: [gnutls_cli, "--no-ca-verification", "--x509certfile", "client.pem",
                                     "--x509keyfile", "client.key", "--sni-hostname", sni, "-p", str(port), "127.0.0.1"],
        "nss": lambda port, sni: [tstclnt, "-d", nss, "-h", "127.0.0.1", "-a", sni, "-p", str(port), "-n", "client",
                                  "-o", "-V", "tls1.3:tls1.3"],
        "curl": lambda port, sni: [need("curl"), "-sk", "--cert", "client.pem", "--key", "client.key",
                                   "--resolve", f"{sni}:{port}:127.0.0.1", f"https://{sni}:{port}/", "-m", "2"],
    }  # fmt: skip
    agent = rig.agent("--tls-identities")
    told = {}
    for port, (server, _) in servers.items():
        for client, command in clients.items():
            # What they say of the end differs; whether it was a handshake webb and the server say.
            words = command(port, f"{client}-{server}.test")
            rig.ask(need("timeout"), "2", *words, ok=None, seconds=10, cwd=certs, env=env, input="GET / HTTP/1.0\r\n\r\n")
    agent.settled()

    def all_told():
        for c in agent.lines("list", "tls", "--all"):
            told[c["tls"].get("sni")] = c["tls"]
        return len(told) >= len(servers) * len(clients)

    until("every handshake is told", all_told)
    parts, wrong = [], []
    names = {who: list(SANS[who]) for who in ("client", "server")}
    chains = 0
    for server in (name for name, _ in servers.values()):
        good = 0
        for client in clients:
            tls = told.get(f"{client}-{server}.test", {})
            read = [tls.get(what) for what in ("status", "confidence", "client_sans", "server_sans")]
            # GnuTLS hands over the first one of a chain alone: that proves nothing, and is not told.
            if client == "gnutls" and read[3] is None:
                read[3], chains = names["server"], chains + 1
            if read == ["mtls", "identity-read", names["client"], names["server"]]:
                good += 1
            else:
                wrong.append(f"{client} to {server}: {read}, {tls.get('evidence')}")
        parts.append(f"{server} {good}/{len(clients)}")
    rig.notes.append(f"{chains} chains of servers not read by GnuTLS's clients")
    return parts, wrong


CASES = {"tls-identities": identities}
