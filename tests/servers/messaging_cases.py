"""NATS with nats-py, RabbitMQ with pika."""

import os
import shutil

from compare import Truth, compare
from rig import need, need_module
from sql_cases import as_user


def nats(rig, how="turns"):
    program = need("nats-server")
    need_module("nats", "nats-py")
    rig.serve(program, "-a", "127.0.0.1", "-p", 4222)
    rig.listens(4222)
    agent = rig.agent()
    rig.capture()
    # A responder, a subscriber and an asker, each with a connection of its own.
    said = rig.client("nats_client.py", 4222, 1500, 1500, how)
    truth = Truth(said["told"], errors=said["errors"], targets=said["targets"], may_miss=how == "streams")
    parts, wrong = compare(agent, 4222, "nats", truth)
    rig.notes.append(", ".join(f"{said[k]} {k}" for k in ("requests", "published", "delivered", "no_responders")))
    return parts, wrong


def rabbitmq(rig, how="turns"):
    need("rabbitmq-server")
    need_module("pika", "pika")
    # The script of Debian in sbin becomes another user by `su`; the one below lib does not.
    script = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    home = rig.dir / "rabbit"
    home.mkdir()
    env = {
        "HOME": str(home),
        "RABBITMQ_NODENAME": "webb@localhost",
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": "5672",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none",
    }
    (home / "plugins").write_text("[].\n")
    for path in (home, home / "plugins"):
        shutil.chown(path, "rabbitmq", "rabbitmq")
    os.chmod(home, 0o755)
    rig.serve(*as_user("rabbitmq", script), env=env, cwd=home)
    rig.listens(5672, seconds=120)
    agent = rig.agent()
    rig.capture()
    said = rig.client("amqp_client.py", 5672, 500, how)
    truth = Truth(said["told"], errors=said["errors"], targets=said["targets"], may_miss=how == "streams")
    rig.notes.append(f"confirmed {said['confirmed']}, returned {said['returned']}, got {said['got']}, consumed {said['consumed']}")
    return compare(agent, 5672, "amqp", truth)


CASES = {
    "nats": nats,
    "nats-streams": lambda rig: nats(rig, "streams"),
    "rabbitmq": rabbitmq,
    "rabbitmq-streams": lambda rig: rabbitmq(rig, "streams"),
}
