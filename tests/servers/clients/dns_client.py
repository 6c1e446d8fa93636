"""dns_client.py PORT COUNT RATE: questions over UDP, RATE a second (0: as fast as they are answered), and TCP, and what the answers said (JSON)."""

import collections
import json
import socket
import struct
import sys
import time

port, count, rate = map(int, sys.argv[1:])
NAMES = ["api.shop.test", "db.shop.test", "none.shop.test", "elsewhere.test", "API.shop.test"]
A, AAAA, TXT = 1, 28, 16


def question(id, name, kind):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack("!6H", id, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def heard(data, id):
    got, flags = struct.unpack("!2H", data[:4])
    assert got == id, (got, id)
    return flags & 15


rcodes = collections.Counter()
udp = tcp = 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("127.0.0.1", port))
began = time.monotonic()
for i in range(count):
    if rate:
        # On schedule, whatever the answers take.
        time.sleep(max(0, began + i / rate - time.monotonic()))
    if i % 100 == 99:
        s.close()
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        s.connect(("127.0.0.1", port))
    id = i * 7 % 65536
    s.send(question(id, NAMES[i % len(NAMES)], (A, AAAA, TXT)[i % 3]))
    rcodes[heard(s.recv(4096), id)] += 1
    udp += 1
elapsed = time.monotonic() - began
for connection in range(10):
    t = socket.create_connection(("127.0.0.1", port))
    f = t.makefile("rb")
    for i in range(min(30, count // 50)):
        id = i + 1
        q = question(id, NAMES[(i + connection) % len(NAMES)], A)
        t.sendall(struct.pack("!H", len(q)) + q)
        (n,) = struct.unpack("!H", f.read(2))
        rcodes[heard(f.read(n), id)] += 1
        tcp += 1
    f.close()
    t.close()
out = {"requests": udp + tcp, "udp": udp, "tcp": tcp, "rate": round(udp / elapsed), "refused": rcodes[5], "nxdomain": rcodes[3]}
assert rcodes[0] + rcodes[3] + rcodes[5] == udp + tcp, rcodes
print(json.dumps(out | {"rcodes": rcodes}))
