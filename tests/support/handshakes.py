"""TLS handshakes of Python's ssl (OpenSSL), each with a server and a port of its own, and what both
ends say that they were. Makes its own certificates with the openssl command in the directory given.

The first line says that it is ready, and waits for a line; the last one is the truth: a list of
{"port", "case", "version", "cipher", "client_cert", "resumed", "ok"}.
"""
import json, os, socket, ssl, subprocess, sys, threading

DIR = sys.argv[1]


def run(*words):
    subprocess.run(words, cwd=DIR, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificate(name, *more):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", name + ".key", "-out", name + ".pem", "-days", "9", "-subj", "/CN=" + name,
        "-addext", "subjectAltName=DNS:%s.test,URI:spiffe://test/%s" % (name, name), *more)


def path(name):
    return os.path.join(DIR, name)


def server_context(version, ask):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.minimum_version = c.maximum_version = version
    c.load_cert_chain(path("server.pem"), path("server.key"))
    c.load_verify_locations(path("client.pem"))
    c.verify_mode = ask
    return c


def client_context(version, present):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = c.maximum_version = version
    c.load_verify_locations(path("server.pem"))
    if present:
        c.load_cert_chain(path("client.pem"), path("client.key"))
    return c


def serve(listener, context, n, seen, words):
    """Says what the server's end knows of each connection."""
    for _ in range(n):
        raw, _ = listener.accept()
        raw.settimeout(10)
        try:
            listen(raw, words)
            s = context.wrap_socket(raw, server_side=True)
            data = s.recv(100)
            seen.append({"version": s.version(), "cipher": s.cipher()[0], "ok": True,
                         "client_cert": s.getpeercert(True) is not None, "resumed": s.session_reused})
            s.sendall(data)
            s.recv(100)
            s.close()
        except (ssl.SSLError, OSError):
            seen.append({"ok": False})
            raw.close()


def slowly(context, raw):
    """The client's bytes one by one."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    s = context.wrap_bio(incoming, outgoing, server_hostname="server.test")

    def flush():
        for b in outgoing.read():
            raw.sendall(bytes([b]))

    def until(f):
        while True:
            try:
                r = f()
                flush()
                return r
            except ssl.SSLWantReadError:
                flush()
                incoming.write(raw.recv(65536))

    until(s.do_handshake)
    until(lambda: s.write(b"hello"))
    until(lambda: s.read(100))


def talk(raw, words):
    """The client's part of what is said before TLS, as in SMTP (RFC 3207); nothing without words."""
    if words:
        raw.recv(100)
    for word in words:
        raw.sendall(word.encode() + b"\r\n")
        raw.recv(100)


def listen(raw, words):
    """The server's."""
    if words:
        raw.sendall(b"220 server.test ESMTP\r\n")
    for _ in words:
        raw.recv(100)
        raw.sendall(b"220 go on\r\n")


def case(name, version, ask=ssl.CERT_NONE, present=False, n=1, resume=False, slow=False, defer=False,
         words=()):
    listener = socket.create_server(("127.0.0.1", 0))
    if defer:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    seen, session = [], None
    thread = threading.Thread(target=serve, args=(listener, server_context(version, ask), n, seen, words))
    thread.start()
    context = client_context(version, present)
    for _ in range(n):
        raw = socket.create_connection(listener.getsockname())
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(10)
        try:
            talk(raw, words)
            if slow:
                slowly(context, raw)
                raw.close()
                continue
            s = context.wrap_socket(raw, server_hostname="server.test", session=session)
            s.sendall(b"hello")
            s.recv(100)
            session = s.session if resume else None
            s.close()
        except (ssl.SSLError, OSError):
            raw.close()
    thread.join()
    port = listener.getsockname()[1]
    listener.close()
    return [{"port": port, "case": name, **one} for one in seen]


certificate("server")
certificate("client")
print(json.dumps({"ready": True}), flush=True)
sys.stdin.readline()
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
truth = []
for v, label in [(V12, "1.2"), (V13, "1.3")]:
    truth += case(label + " plain", v)
    truth += case(label + " mutual", v, ssl.CERT_REQUIRED, True)
    truth += case(label + " declined", v, ssl.CERT_OPTIONAL, False)
    truth += case(label + " refused", v, ssl.CERT_REQUIRED, False)
    truth += case(label + " resumed", v, n=3, resume=True)
    truth += case(label + " resumed mutual", v, ssl.CERT_REQUIRED, True, n=2, resume=True)
    truth += case(label + " slow", v, ssl.CERT_REQUIRED, True, slow=True)
    truth += case(label + " deferred", v, ssl.CERT_REQUIRED, True, defer=True)
    truth += case(label + " starttls", v, ssl.CERT_REQUIRED, True, words=("EHLO me", "STARTTLS"))
    # TLS begins long after what is looked at of each connection.
    noops = ("EHLO me",) + ("NOOP",) * 9
    truth += case(label + " starttls late", v, ssl.CERT_REQUIRED, True, words=noops + ("STARTTLS",))
print(json.dumps({"handshakes": truth}))
