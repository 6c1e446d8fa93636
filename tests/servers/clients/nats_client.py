"""nats_client.py PORT REQUESTS MESSAGES turns|streams: what was asked, published and delivered (JSON).

`turns`: each message waits for what the last one led to. `streams`: requests overlap, and messages are
published without waiting.

What webb tells of a connection: each request with its answer, each other message of the client, and
each delivery that the client had not asked for.
"""

import asyncio
import json
import sys

import nats
from nats.errors import NoRespondersError

port, requests, messages = map(int, sys.argv[1:4])
STREAMS = sys.argv[4] == "streams"
ABSENT = 20


async def main():
    at = f"nats://127.0.0.1:{port}"
    responder, reader, asker = [await nats.connect(at, allow_reconnect=False) for _ in range(3)]
    served = delivered = answered = refused = 0
    done = asyncio.Event()

    async def serve(message):
        nonlocal served
        served += 1
        await message.respond(b"answer " + message.data)

    async def read(message):
        nonlocal delivered
        delivered += 1
        if not STREAMS:
            await message.respond(b"read")
        if delivered == messages:
            done.set()

    await responder.subscribe("shop.price", cb=serve)
    await reader.subscribe("shop.events", cb=read)
    await responder.flush()
    await reader.flush()

    async def ask(n):
        nonlocal answered
        for i in range(n):
            got = await asker.request("shop.price", b"x" * (i % 400), timeout=20)
            answered += got.data.startswith(b"answer ")

    if STREAMS:
        await asyncio.gather(*(ask(requests // 5) for _ in range(5)))
        for i in range(messages):
            await asker.publish("shop.events", b"y" * (i % 900))
            if i % 50 == 49:
                await asker.flush()
        await asyncio.wait_for(done.wait(), 20)
    else:
        await ask(requests)
        for i in range(messages):
            await asker.request("shop.events", b"y" * (i % 900), timeout=20)
        # No subscriber: one way, and each with a round of PING and PONG.
        for i in range(messages):
            await asker.publish("shop.log", b"z" * (i % 100))
            await asker.flush()
    for i in range(ABSENT):
        try:
            await asker.request("nobody.home", b"?", timeout=5)
        except NoRespondersError:
            refused += 1
    for connection in (asker, reader, responder):
        await connection.close()
    assert (answered, served, refused) == (requests, requests, ABSENT), (answered, served, refused)
    targets = {
        "REQ shop.price": answered,
        "REQ nobody.home": refused,
        "REQ shop.events": 0 if STREAMS else messages,
        "PUB shop.events": messages if STREAMS else 0,
        "PUB shop.log": 0 if STREAMS else messages,
        "MSG shop.price": served,
        "MSG shop.events": delivered,
        # The responders' answers.
        "PUB _INBOX": served + (0 if STREAMS else delivered),
    }
    told = sum(targets.values())
    out = {"told": told, "errors": refused, "targets": targets, "requests": answered}
    print(json.dumps(out | {"published": messages, "delivered": delivered, "no_responders": refused}))


asyncio.run(main())
