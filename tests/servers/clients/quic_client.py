"""quic_client.py PORT CERT KEY: one QUIC connection to an echo server of its own process (JSON)."""

import asyncio
import json
import ssl
import sys

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

port, cert, key = sys.argv[1:]
SIZE = 300_000
ALPN = "hq-interop"


def echo(reader, writer):
    async def go():
        writer.write(await reader.read())
        writer.write_eof()

    asyncio.ensure_future(go())


async def main():
    serving = QuicConfiguration(is_client=False, alpn_protocols=[ALPN])
    serving.load_cert_chain(cert, key)
    server = await serve("127.0.0.1", int(port), configuration=serving, stream_handler=echo)
    asking = QuicConfiguration(
        is_client=True, alpn_protocols=[ALPN], server_name="quic.shop.test", verify_mode=ssl.CERT_NONE
    )
    async with connect("127.0.0.1", int(port), configuration=asking) as client:
        reader, writer = await client.create_stream()
        writer.write(b"x" * SIZE)
        writer.write_eof()
        echoed = len(await reader.read())
    server.close()
    assert echoed == SIZE
    print(json.dumps({"echoed": echoed, "alpn": ALPN}))


asyncio.run(main())
