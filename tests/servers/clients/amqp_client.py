"""amqp_client.py PORT MESSAGES turns|streams: publishes with confirms, gets and consumes (JSON).

`turns`: a delivery at a time. `streams`: all that the queue has at once.

Every method that pika sends is counted here, by hooking what it puts on the wire, apart from answers
that nothing comes back to; and every delivery, as it comes. That is what webb tells.
"""

import collections
import json
import sys

import pika
from pika import connection, spec

port, messages = map(int, sys.argv[1:3])
STREAMS = sys.argv[3] == "streams"
sent = collections.Counter()
original = connection.Connection._send_method

# `connection.start-ok` is answered by `connection.tune`: it is where a login fails.
NOT_ASKED = ("Connection.TuneOk", "Channel.CloseOk", "Connection.CloseOk", "Basic.CancelOk")


def counting(self, channel_number, method, content=None):
    if method.NAME not in NOT_ASKED:
        sent[method.NAME] += 1
    return original(self, channel_number, method, content)


connection.Connection._send_method = counting
where = pika.ConnectionParameters("127.0.0.1", port, heartbeat=0)
c = pika.BlockingConnection(where)
ch = c.channel()
ch.exchange_declare("shop.events", "topic")
ch.queue_declare("orders")
ch.queue_bind("orders", "shop.events", "order.#")
ch.confirm_delivery()
confirmed = returned = got = empty = 0
for i in range(messages):
    ch.basic_publish("shop.events", "order.new", b"x" * (i * 37 % 3000), mandatory=True)
    confirmed += 1
for _ in range(10):
    try:
        ch.basic_publish("shop.events", "nowhere", b"lost", mandatory=True)
    except pika.exceptions.UnroutableError:
        returned += 1
for _ in range(messages // 2):
    method, _, _ = ch.basic_get("orders")
    got += method is not None
    ch.basic_ack(method.delivery_tag)
consumed = 0
if not STREAMS:
    ch.basic_qos(prefetch_count=1)
for method, _, _ in ch.consume("orders", inactivity_timeout=10):
    assert method is not None
    ch.basic_ack(method.delivery_tag)
    consumed += 1
    if consumed == messages - messages // 2:
        break
ch.cancel()
for _ in range(5):
    method, _, _ = ch.basic_get("orders")
    empty += method is None
# An error of the channel: 404.
failing = c.channel()
try:
    failing.queue_declare("missing", passive=True)
    failed = 0
except pika.exceptions.ChannelClosedByBroker:
    failed = 1
ch.close()
c.close()
targets = {
    "basic.publish shop.events/order.new": confirmed,
    "basic.publish shop.events/nowhere": returned,
    "basic.deliver shop.events/order.new": consumed,
    "basic.ack -": got + consumed,
    "basic.get orders": got + empty,
}
print(
    json.dumps(
        {
            "told": sent.total() + consumed,
            "errors": returned + failed,
            "targets": targets,
            "sent": sent,
            "confirmed": confirmed,
            "returned": returned,
            "got": got,
            "empty": empty,
            "consumed": consumed,
            "failed": failed,
        }
    )
)
