#!/usr/bin/env python3
"""Measures calls, messages and idle clients of the native protocol and prints tables in Markdown.

A figure is the median of those half of its rounds in which the server waited least for its core."""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile

from network import Loopback
from process import Server, pinned
from tables import median, print_head, print_row, show

GENERATOR_CORE = 1
ROUNDS = 5


class Roost(Server):
    name = "roost"

    def start(self):
        # a folder of its own each time: nothing is left of the rounds before
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        log = f"{self.folder}/log"
        sets = {"server.data_dir": f"{self.folder}/data", "server.roles": "signal, media", "media.udp_port": 0,
                "http.bind": "127.0.0.1", "http.https_port": 0, "http.http_port": 0,
                "server.banner": "false", "http.max_connections": 50000,
                "http.max_connections_per_address": 50000, "signal.max_sessions": 50000,
                "signal.max_sessions_per_address": 50000, "signal.max_calls": 50000,
                # what a generator says in a second, a person says in a day
                "signal.message_rate": 100000, "signal.message_burst": 100000}
        command = [f"{self.build}/roost", "serve"]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        self.spawn(command, stdout=open(log, "w"), stderr=subprocess.STDOUT)
        self.wait_for(lambda: '"ready"' in open(log).read(), "the start")
        self.ports = {"ws": re.search(r'"http_port":(\d+)', open(log).read())[1]}


class Bench:
    def __init__(self, build):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="bench-calls-")

    def load(self, server, options):
        command = [f"{self.build}/bench/bench_calls", "--server", f"127.0.0.1:{server.ports['ws']}",
                   "--pid", server.process.pid, "--core", 0, *options]
        done = subprocess.run(pinned(GENERATOR_CORE, [str(word) for word in command]),
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def rounds(self, options, count=ROUNDS):
        results = []
        for _ in range(count):
            server = Roost(self.build, self.folder, Loopback())
            try:
                server.start()
                results.append(self.load(server, options))
            finally:
                server.stop()
        return results

    def calls(self):
        print_head("calls set up and hung up: 4,000 bytes of offer and of answer, 4 candidates of each side",
                   ["pairs at a time", "calls/s", "CPU µs per call", "messages to clients/s", "of a core"])
        for pairs in (1, 10, 100):
            results = self.rounds(["--pairs", pairs])
            print_row([str(pairs), *[show(median(results, key), form) for key, form in
                                     (("calls_per_s", "{:,.0f}"), ("cpu_us_per_call", "{:.0f}"),
                                      ("messages_per_s", "{:,.0f}"), ("cores", "{:.2f}"))]])

    def messages(self):
        print_head("messages within calls (a candidate, 300 bytes; each is also confirmed to its sender)",
                   ["pairs", "on their way each", "messages to clients/s", "CPU µs per message", "of a core"])
        for pairs, window in ((1, 1), (10, 10), (100, 10)):
            results = self.rounds(["--kind", "messages", "--pairs", pairs, "--window", window])
            print_row([str(pairs), str(window),
                       *[show(median(results, key), form) for key, form in
                         (("messages_per_s", "{:,.0f}"), ("cpu_us_per_message", "{:.2f}"), ("cores", "{:.2f}"))]])

    def idle(self):
        print_head("clients that registered and wait to be called",
                   ["", "KiB per client", "CPU µs to connect", "connects/s"])
        results = [{**result, "waited": 0} for result in self.rounds(["--kind", "idle", "--pairs", 5000], 3)]
        print_row(["10,000", *[show(median(results, key), form) for key, form in
                               (("kib_per_client", "{:.2f}"), ("connect_cpu_us", "{:.0f}"),
                                ("connects_per_s", "{:,.0f}"))]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    bench = Bench(parser.parse_args().build)
    bench.calls()
    bench.messages()
    bench.idle()


main()
