"""TLS of OpenSSL, through Python's ssl or through pyOpenSSL, which brings its own (first argument
`ssl` or `pyopenssl`); see ../stacks.py for what it is told and says. pyOpenSSL's groups can be given.
"""
import json
import socket
import ssl
import sys

KIND, CA, CERTS, *GROUPS = sys.argv[1:]
REQUEST = b"GET / HTTP/1.0\r\nhost: %s\r\n\r\n"
contexts, sessions = {}, {}


def kept(session, make):
    """A session belongs to a context."""
    if session not in contexts:
        contexts[session] = make()
    return contexts[session]


def connect(address, port):
    raw = socket.create_connection((address, int(port)))
    raw.settimeout(20)
    return raw


def python(raw, sni, version, cert, session, alpn):
    def context():
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.minimum_version = c.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        c.load_verify_locations(CA)
        if cert != "-":
            c.load_cert_chain(f"{CERTS}/{cert}.pem", f"{CERTS}/{cert}.key")
        if alpn != "-":
            c.set_alpn_protocols(alpn.split(","))
        return c

    c = context() if session == "-" else kept(session, context)
    with c.wrap_socket(raw, server_hostname=sni, session=sessions.get(session)) as s:
        yield {"version": s.version().removeprefix("TLSv"), "cipher": s.cipher()[0], "resumed": s.session_reused}
        s.sendall(REQUEST % sni.encode())
        answer = b""
        while data := s.recv(65536):
            answer += data
        if session != "-":
            sessions[session] = s.session
        yield {"answer": answer.decode("latin-1")}


def pyopenssl(raw, sni, version, cert, session, alpn):
    from OpenSSL import SSL
    from OpenSSL._util import lib

    def context():
        c = SSL.Context(SSL.TLS_CLIENT_METHOD)
        number = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}[version]
        c.set_min_proto_version(number)
        c.set_max_proto_version(number)
        c.load_verify_locations(CA)
        c.set_verify(SSL.VERIFY_PEER)
        if GROUPS and lib.SSL_CTX_set1_curves_list(c._context, GROUPS[0].encode()) != 1:
            raise SystemExit(f"no such groups: {GROUPS[0]}")
        if cert != "-":
            c.use_certificate_file(f"{CERTS}/{cert}.pem")
            c.use_privatekey_file(f"{CERTS}/{cert}.key")
        if alpn != "-":
            c.set_alpn_protos([p.encode() for p in alpn.split(",")])
        return c

    raw.settimeout(None)
    s = SSL.Connection(context() if session == "-" else kept(session, context), raw)
    s.set_tlsext_host_name(sni.encode())
    if session in sessions:
        s.set_session(sessions[session])
    s.set_connect_state()
    s.do_handshake()
    yield {
        "version": s.get_protocol_version_name().removeprefix("TLSv"),
        "cipher": s.get_cipher_name(),
        "resumed": bool(lib.SSL_session_reused(s._ssl)),
        "group": s.get_group_name(),
    }
    s.sendall(REQUEST % sni.encode())
    answer = b""
    try:
        while data := s.recv(65536):
            answer += data
    except (SSL.ZeroReturnError, SSL.SysCallError):
        pass
    if session != "-":
        sessions[session] = s.get_session()
    s.shutdown()
    yield {"answer": answer.decode("latin-1")}


def errors():
    if KIND == "ssl":
        return (OSError,)
    from OpenSSL import SSL

    return (OSError, SSL.Error)


handshake, failures = {"ssl": python, "pyopenssl": pyopenssl}[KIND], errors()
for line in sys.stdin:
    name, address, port, *rest = line.split()
    raw = connect(address, port)
    said = {"name": name, "port": raw.getsockname()[1]}
    try:
        for more in handshake(raw, *rest):
            said |= more
    except failures as e:
        said["error"] = repr(e)
    raw.close()
    print(json.dumps(said), flush=True)
