#!/usr/bin/env python3
"""Measures TURN servers side by side and prints tables in Markdown.

Within a row the servers take turns, round after round, so that what else the machine does hits all
of them. A figure is the median of those half of its rounds in which the server waited least for its
core: other programs that run there make it dearer. Rows end when the time is over."""

import argparse
import shutil
import sys
import tempfile
import time

from network import Loopback, Veth
from servers import KINDS, run_generator
from tables import median, print_head, print_row, ratio, show

QUICK_SECONDS = 100
FULL_SECONDS = 1200


class Bench:
    def __init__(self, options):
        self.quick = options.quick
        self.build = options.build
        self.folder = tempfile.mkdtemp(prefix="bench-turn-")
        self.loopback = Loopback()
        self.network = Veth() if Veth.possible() and not options.loopback else self.loopback
        self.names = [name for name in options.servers.split(",")
                      if KINDS[name].available(options.build)]
        self.end = time.monotonic() + (QUICK_SECONDS if self.quick else FULL_SECONDS)
        self.seconds = 0.4 if self.quick else 0.5
        self.tables = options.tables
        self.rounds = 3 if self.quick else 7

    def start(self, name, network):
        server = KINDS[name](self.build, self.folder, network)
        try:
            server.start()
        except Exception:
            server.stop()
            raise
        return server

    def late(self):
        return time.monotonic() > self.end


# How packets cross: title, (joins, cuts) of the server's card, and what the generator is told
# instead when all is on loopback.
ALONE = ("packets arrive one by one, the card takes runs", (False, True), ["--gso"], [])
JOINED = ("the card joins arriving packets (GRO) and takes runs", (True, True), ["--gso"],
          ["--gso"])
SYSTEM = ("packets arrive one by one, the server's system cuts its runs", (False, False),
          ["--gso"], ["--no-gro"])


def relay_rows(quick):
    """Groups of rows: title, first column, arrangement, (label, options, transport) of each."""
    both = ("up", "down")
    sizes = (200, 1200)
    bursts = (1, 8) if quick else (1, 4, 8, 16)

    def row(size, burst, direction, *more, clients=50, transport="udp", name=""):
        label = [name or f"{size:,}", f"{burst}", direction]
        options = ["--size", str(size), "--burst", str(burst), "--direction", direction,
                   "--clients", str(clients), *more]
        return label, options, transport

    title = "ChannelData over UDP, 50 clients"
    yield title, "bytes", ALONE, [row(s, b, d) for s in sizes for b in bursts for d in both]
    yield title, "bytes", JOINED, [row(s, b, d) for s in sizes for b in bursts[1:] for d in both]
    if quick:
        return
    yield title, "bytes", SYSTEM, [row(s, b, d) for s in sizes for b in (1, 8) for d in both]
    yield ("ChannelData over UDP by number of allocations, 1,200 bytes", "allocations", ALONE,
           [row(1200, 8, d, clients=n, name=f"{n:,}") for n in (1, 10, 100, 1000) for d in both])
    yield ("Send and Data indications over UDP, 50 clients", "bytes", ALONE,
           [row(s, 8, d, "--indications") for s in sizes for d in both])
    yield ("ChannelData over TCP and TLS, 50 clients, 1,200 bytes", "carrier", ALONE,
           [row(1200, b, d, transport=t, name=t) for t in ("tcp", "tls") for b in (1, 8)
            for d in both])


def can(server, options, transport):
    return transport in server.transports and (server.indications or
                                               "--indications" not in options)


def measure_relay(bench):
    servers = []
    try:
        for name in bench.names:
            servers.append(bench.start(name, bench.network))
        for title, column, arrangement, rows in relay_rows(bench.quick):
            names = [server.name for server in servers]
            way, cards, with_cards, on_loopback = arrangement
            if bench.tables not in f"{title}; {way}":
                continue
            more = on_loopback
            if bench.network is not bench.loopback:
                bench.network.arrange(*cards)
                more = with_cards
            print_head(f"CPU µs per relayed packet: {title}; {way}",
                       [column, "burst", "direction"] + names +
                       ["coturn / roost", "roost / forwarder"] +
                       [f"{name} packets/s" for name in names] + ["lost"])
            for label, options, transport in rows:
                results = {server.name: [] for server in servers}
                for _ in range(bench.rounds):
                    for server in servers:
                        if can(server, options, transport):
                            results[server.name].append(run_generator(
                                bench.build, "relay", server,
                                [*options, *more, "--seconds", str(bench.seconds)],
                                transport=transport))
                    if bench.late():
                        break
                print_relay(label, names, results)
                if bench.late():
                    print("\nThe time is over.")
                    return
    finally:
        for server in servers:
            server.stop()


def print_relay(label, names, results):
    us = {name: median(results.get(name, []), "us") for name in KINDS}
    bad = []
    for name in names:
        for kind in ("lost", "disordered", "corrupt"):
            count = sum(result[kind] for result in results[name] if result)
            if count:
                bad.append(f"{name} {count} {kind}")
    print_row(label + [show(us[name]) for name in names] +
              [show(ratio(us["coturn"], us["roost"])), show(ratio(us["roost"], us["forwarder"]))] +
              [show(median(results[name], "pps"), "{:,.0f}") for name in names] +
              [", ".join(bad) or "0"])


def fresh(bench, name, command, options):
    """On a server of its own, so that memory is not what another measurement left."""
    server = bench.start(name, bench.loopback)
    try:
        return run_generator(bench.build, command, server, options, timeout=120)
    finally:
        server.stop()


def turn_servers(bench):
    return [name for name in bench.names if name != "forwarder"]


def measure_allocate(bench):
    count = 2000 if bench.quick else 10000
    print_head(f"{count:,} allocations, time-limited credentials (two round trips each)",
               ["server", "what, and requests under way", "CPU µs each", "own bytes each",
                "kernel bytes each", "allocations/s", "errors"])
    ways = [("idle, 1", ["--outstanding", "1"]), ("idle, 16", ["--outstanding", "16"]),
            ("with a channel each, 16", ["--outstanding", "16", "--bind"])]
    for label, options in ways[1:2] if bench.quick else ways:
        for name in turn_servers(bench):
            results = [fresh(bench, name, "allocate", ["--clients", str(count), *options])
                       for _ in range(1 if bench.quick else 3)]
            print_each(name, label, results)


def measure_strangers(bench):
    count = 5000 if bench.quick else 20000
    print_head(f"one packet without credentials from each of {count:,} addresses",
               ["server", "packet", "CPU µs each", "own bytes each", "kernel bytes each",
                "packets/s", "errors"])
    for kind in ("allocate",) if bench.quick else ("binding", "allocate", "junk"):
        for name in turn_servers(bench):
            options = ["--clients", str(count), "--kind", kind]
            print_each(name, kind, [fresh(bench, name, "strangers", options)])


def print_each(name, label, results):
    keys = (("us", "{:.1f}"), ("bytes", "{:,.0f}"), ("slab", "{:,.0f}"), ("rate", "{:,.0f}"),
            ("errors", "{:.0f}"))
    print_row([name, label] + [show(median(results, key), form) for key, form in keys])


def measure_overrun(bench):
    clients = 5 if bench.quick else 20
    print_head("what is lost of 500 packets of one client at once (the server's receive buffers)",
               ["server", "bytes", "direction", "sent as", "sent", "lost", "%"])
    for size in (1200,) if bench.quick else (200, 1200):
        for direction in ("up", "down"):
            for way, more in (("packets", []), ("runs", ["--gso"])):
                for name in turn_servers(bench):
                    result = fresh(bench, name, "overrun",
                                   ["--clients", str(clients), "--burst", "500", "--size",
                                    str(size), "--direction", direction, *more])
                    lost = result and result["lost"]
                    print_row([name, str(size), direction, way,
                               show(result and result["sent"], "{:,}"), show(lost, "{:,}"),
                               show(result and 100 * lost / result["sent"], "{:.1f}")])


PARTS = {
    "relay": measure_relay,
    "allocate": measure_allocate,
    "strangers": measure_strangers,
    "overrun": measure_overrun,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--quick", action="store_true", help="under 2 minutes")
    parser.add_argument("--loopback", action="store_true",
                        help="no network cards of our own even as root")
    parser.add_argument("--only", default=",".join(PARTS), help="which of: " + ", ".join(PARTS))
    parser.add_argument("--tables", default="",
                        help="of relay: those whose title contains this")
    parser.add_argument("--servers", default=",".join(KINDS))
    options = parser.parse_args()
    bench = Bench(options)
    try:
        # the short ones first: relay takes what is left of the time
        for part in ("overrun", "allocate", "strangers", "relay"):
            if part in options.only.split(","):
                PARTS[part](bench)
        shutil.rmtree(bench.folder)
    except RuntimeError as error:
        sys.exit(f"measure.py: {error}")
    finally:
        bench.network.close()


if __name__ == "__main__":
    main()
