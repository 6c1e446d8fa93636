"""Passes connections on, and what clients say byte by byte: each byte is a segment of its own.

Arguments: LISTEN:ADDRESS:PORT …, a port on loopback and where it goes. Says for each connection
{"from": the client's port, "at": where it was asked, "port": its own port towards the server}, and when it is over
{"port", "record": bytes of the client's first record, which is its hello}.
"""
import itertools
import json
import socket
import sys
import threading


lock = threading.Lock()
# Beyond those that the system gives: none of what it passes on has the port of another connection.
own = itertools.count(61001)


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def pass_on(source, sink, slowly):
    """Until the end of what is said, which is passed on, too; what the first record is as long as."""
    head = b""
    try:
        while data := source.recv(65536):
            head += data[: 5 - len(head)]
            for piece in (data[i : i + 1] for i in range(len(data))) if slowly else (data,):
                sink.sendall(piece)
    except OSError:
        pass
    for s, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
        try:
            s.shutdown(how)
        except OSError:
            pass
    return int.from_bytes(head[3:5], "big")


def relay(client, target):
    server = socket.create_connection(target, source_address=("", next(own)))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = server.getsockname()[1]
    say(**{"from": client.getpeername()[1], "at": client.getsockname()[1], "port": port})
    back = threading.Thread(target=pass_on, args=(server, client, False))
    back.start()
    record = pass_on(client, server, True)
    back.join()
    client.close()
    server.close()
    say(port=port, record=record)


def listen(port, target):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=relay, args=(listener.accept()[0], target)).start()


for word in sys.argv[1:]:
    at, address, to = word.split(":")
    threading.Thread(target=listen, args=(int(at), (address, int(to)))).start()
