#!/usr/bin/env python3
"""Measures MQTT brokers side by side and prints tables in Markdown.

Within a row the brokers take turns, round after round, so that what else the machine does hits both.
A figure is the median of those half of its rounds in which the broker waited least for its core."""

import argparse
import json
import subprocess
import sys
import tempfile

from network import Loopback
from process import pinned
from servers import KINDS
from tables import median, print_head, print_row, ratio, show

GENERATOR_CORE = 1
IDLE_TITLE = "clients that connect, subscribe to one topic, and stay"


def rows(quick):
    """Title, then (label, transport, options) of each row."""
    sizes = (100,) if quick else (100, 10240)
    transports = ("tcp",) if quick else ("tcp", "tls", "ws")
    for transport in transports:
        yield (f"one to one over {transport.upper()}: 10 publishers, 10 subscribers, 100 messages of "
               "each on their way",
               [(f"{size:,} bytes, QoS {qos}", transport,
                 ["--publishers", 10, "--subscribers", 10, "--qos", qos, "--size", size])
                for size in sizes for qos in (0, 1, 2)])
    yield ("one message at a time: 1 publisher, 1 subscriber, nothing to put together",
           [(f"100 bytes, QoS {qos}", "tcp", ["--window", 1, "--qos", qos]) for qos in (0, 1, 2)])
    yield ("one to many over TCP: 100 bytes, 10 messages on their way",
           [(f"{count:,} subscribers, QoS {qos}", "tcp",
             ["--fan-out", "--subscribers", count, "--window", 10, "--qos", qos])
            for count in ((10, 100) if quick else (1, 10, 100, 1000)) for qos in (0, 1)])


class Bench:
    def __init__(self, options):
        self.build = options.build
        self.quick = options.quick
        self.rounds = 3 if options.quick else 5
        self.folder = tempfile.mkdtemp(prefix="bench-mqtt-")
        self.names = [name for name in KINDS if KINDS[name].available(options.build)]

    def start(self, name):
        server = KINDS[name](self.build, self.folder, Loopback())
        try:
            server.start()
        except Exception:
            server.stop()
            raise
        return server

    def load(self, server, transport, options):
        command = [f"{self.build}/bench/bench_mqtt", "--server",
                   f"127.0.0.1:{server.ports[transport]}", "--transport", transport, "--pid",
                   server.process.pid, "--core", 0, "--seconds", 1, *options]
        done = subprocess.run(pinned(GENERATOR_CORE, [str(word) for word in command]),
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            sys.exit(f"the load generator failed: {' '.join(map(str, command))}\n{done.stderr}")
        return json.loads(done.stdout)

    def message_table(self, title, group):
        print_head(title, ["", *[f"{name}: CPU µs per message" for name in self.names],
                           "times cheaper", *[f"{name}: messages/s" for name in self.names]])
        servers = {name: self.start(name) for name in self.names}
        try:
            for label, transport, options in group:
                results = {name: [] for name in self.names}
                for _ in range(self.rounds):
                    for name in self.names:
                        results[name].append(self.load(servers[name], transport, options))
                cpu = [median(results[name], "cpu_us") for name in self.names]
                rate = [median(results[name], "received_per_s") for name in self.names]
                print_row([label, *map(show, cpu),
                           show(ratio(cpu[-1], cpu[0]) if len(cpu) > 1 else None, "{:.1f}"),
                           *[show(value, "{:,.0f}") for value in rate]])
        finally:
            for server in servers.values():
                server.stop()

    def idle_table(self, transports):
        print_head(IDLE_TITLE,
                   ["", *[f"{name}: {what}" for what in ("KiB per client", "CPU µs to connect",
                                                         "connects/s") for name in self.names]])
        for transport in transports:
            count = 2000 if self.quick or transport == "tls" else 10000
            results = {name: [] for name in self.names}
            for _ in range(3):
                for name in self.names:
                    # each on a new server: memory that was given back once is not asked for again
                    server = self.start(name)
                    try:
                        results[name].append(self.load(server, transport, ["--idle", count]))
                    finally:
                        server.stop()
            figures = [(key, form) for key, form in (("kib_per_client", "{:.2f}"),
                                                     ("connect_cpu_us", "{:.0f}"),
                                                     ("connects_per_s", "{:,.0f}"))]
            print_row([f"{count:,} over {transport.upper()}",
                       *[show(median(results[name], key), form)
                         for key, form in figures for name in self.names]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="tables whose title has this text, as: 'stay', 'one message'")
    parser.add_argument("--idle", default="tcp,tls,ws", help="transports of idle clients")
    options = parser.parse_args()
    bench = Bench(options)
    for title, group in rows(bench.quick):
        if not options.only or options.only in title:
            bench.message_table(title, group)
    if not options.only or options.only in IDLE_TITLE:
        bench.idle_table(options.idle.split(","))


main()
