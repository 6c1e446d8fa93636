"""What a client reports against what webb counted, and what work costs with webb and without."""

import random
import statistics
from dataclasses import dataclass, field

from rig import figures, targets

VIEWS = ("by_client", "by_server")


@dataclass
class Truth:
    """What happened, as client and server say."""

    requests: int
    errors: int = 0
    client_errors: int = 0
    # Requests under way when the client stopped: it does not count them, the server may.
    abandoned: int = 0
    # What the server counted, where it tells.
    served: int | None = None
    # Heads do not fit the capture (deep pipelines): less may be seen, if the edge says so.
    may_miss: bool = False
    # The least share of the requests that each view must have, where packets are lost.
    share: dict = field(default_factory=dict)
    # Requests by `method target`, as far as they are to be compared.
    targets: dict = field(default_factory=dict)
    views: tuple = VIEWS


def compare(agent, port, protocol, truth):
    """The line's figures, and what is wrong."""
    edges, wrong, parts = agent.settled(), [], [f"client {truth.requests}"]
    if truth.served is not None:
        parts.append(f"server {truth.served}")
    loss = agent.status()["loss"]
    for view in truth.views:
        seen = figures(edges, view, port, protocol)
        parts.append(f"{view} {seen['requests']}")
        wrong += judge(view, seen, truth)
        extra = {k: v for k, v in seen.items() if v and k in ("unknown_outcomes", "missed", "not_timed")}
        parts += [f"{k} {v}" for k, v in extra.items()]
        parts.append(f"errors {seen['errors']}/{truth.errors}+{seen['client_errors']}/{truth.client_errors}")
        parts.append(f"undecoded {seen['undecoded_bytes']}")
        others = figures(edges, view, port)["requests"] - seen["requests"]
        if others:
            wrong.append(f"{view}: {others} requests in another protocol")
        told = targets(edges, view, port)
        for name, n in truth.targets.items():
            seen_of = told.get(name, 0)
            if seen_of > n or (seen_of < n and not (truth.may_miss or truth.share)):
                wrong.append(f"{view}: {told.get(name, 0)} of {name}, not {n}")
        if any(view in w for w in wrong):
            wrong.append(f"{view} told {dict(sorted(told.items(), key=lambda t: -t[1])[:8])}")
    parts.append(f"loss {loss['total']}")
    if loss["total"] and not truth.share:
        wrong.append(f"loss {loss['by_kind']} {loss['by_place']}")
    return parts, wrong


def judge(view, seen, truth):
    wrong, n = [], seen["requests"]
    least, most = truth.requests, truth.requests + truth.abandoned
    if truth.served is not None and not truth.may_miss:
        # The server's own count leaves no room.
        least = most = truth.served
    if truth.share:
        least = truth.requests * truth.share[view]
    says_so = seen["missed"] or seen["undecoded_bytes"]
    if n > most or (n < least and not (truth.may_miss and says_so)):
        wrong.append(f"{view}: {n} requests, not {least}" + (f" to {most}" if most != least else ""))
    if truth.share and n < truth.requests and not says_so:
        wrong.append(f"{view}: incomplete, and does not say so")
    for what in ("errors", "client_errors"):
        want = getattr(truth, what)
        fits = seen[what] <= want if truth.may_miss or truth.share else seen[what] == want
        if not fits:
            wrong.append(f"{view}: {seen[what]} {what}, not {want}")
    if seen["unknown_outcomes"] > truth.abandoned and not (truth.may_miss or truth.share):
        wrong.append(f"{view}: {seen['unknown_outcomes']} unknown outcomes")
    if not (truth.may_miss or truth.share) and says_so:
        wrong.append(f"{view}: {seen['missed']} missed, {seen['undecoded_bytes']} bytes undecoded")
    return wrong


# Runs with webb, each beside one without.
PAIRS = 15
BOOTSTRAPS = 4000


def with_and_without(what, once):
    """Ratios of `once(True)`, beside webb, to `once(False)`: pairs in turning order. `once` returns what
    the work cost (`what` names it) and its throughput. Returns the line's figures, the cost's median
    ratio with its interval, and the medians of cost and throughput without webb."""
    once(True)
    cost, throughput, plain = [], [], []
    for pair in range(PAIRS):
        order = (True, False) if pair % 2 else (False, True)
        got = {with_webb: once(with_webb) for with_webb in order}
        cost.append(got[True][0] / got[False][0])
        throughput.append(got[True][1] / got[False][1])
        plain.append(got[False])
    ratios = [(what, interval(cost)), ("throughput", interval(throughput))]
    parts = [f"{name} {m:.4f} [{low:.4f}, {high:.4f}]" for name, (m, low, high) in ratios]
    return parts, ratios[0][1], [statistics.median(of) for of in zip(*plain)]


def interval(ratios):
    """Median of the ratios, and its 95 % bootstrap interval."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(BOOTSTRAPS))
    return statistics.median(ratios), medians[int(0.025 * BOOTSTRAPS)], medians[int(0.975 * BOOTSTRAPS)]
