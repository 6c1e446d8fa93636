"""memcached_client.py PORT CONNECTIONS ROUNDS: text commands one by one, and what came of them."""

import json
import socket
import sys
import threading

port, connections, rounds = map(int, sys.argv[1:])
lock = threading.Lock()
total = {"requests": 0, "errors": 0, "client_errors": 0, "get": 0, "set": 0}


def one(which):
    mine = dict.fromkeys(total, 0)
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    f = s.makefile("rb")

    def ask(line, *ends):
        s.sendall(line)
        mine["requests"] += 1
        mine[line[:3].decode()] = mine.get(line[:3].decode(), 0) + 1
        while True:
            got = f.readline()
            if got.startswith(b"VALUE "):
                f.read(int(got.split()[3]) + 2)
                continue
            assert got.rstrip().startswith(ends), (line, got)
            mine["errors"] += b"_ERROR" in got
            mine["client_errors"] += got.startswith(b"ERROR")
            return

    for i in range(rounds):
        key = b"k%d-%d" % (which, i % 50)
        value = b"x" * (10 + i % 700)
        ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED")
        ask(b"get %s\r\n" % key, b"END")
        ask(b"get nothing%d\r\n" % i, b"END")
        if i % 50 == 0:
            ask(b"incr %s 1\r\n" % key, b"CLIENT_ERROR")
            ask(b"nonsense\r\n", b"ERROR")
        if i % 10 == 0:
            ask(b"delete %s\r\n" % key, b"DELETED")
    s.close()
    with lock:
        for k in total:
            total[k] += mine[k]


threads = [threading.Thread(target=one, args=(n,)) for n in range(connections)]
for t in threads:
    t.start()
for t in threads:
    t.join()
s = socket.create_connection(("127.0.0.1", port))
s.sendall(b"stats\r\n")
f, stats = s.makefile("rb"), {}
while not (line := f.readline()).startswith(b"END"):
    _, name, value = line.decode().split(None, 2)
    stats[name] = value.strip()
total["requests"] += 1
total["asked"] = {"get": total.pop("get"), "set": total.pop("set")}
total["stats"] = {"get": int(stats["cmd_get"]), "set": int(stats["cmd_set"])}
print(json.dumps(total))
