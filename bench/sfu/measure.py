#!/usr/bin/env python3
"""Measures media servers side by side, beside the floor of the same machine, and prints tables in
Markdown.

Within a row all servers run at once on core 0, each with a generator on core 1 whose clients have
joined; they take turns, round after round, so that what else the machine does hits all of them. A
figure is the median of those half of its rounds in which the server waited least for its core.
Rows end when the time is over."""

import argparse
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

from network import OneHost
from process import CORE, pinned
from servers import KINDS, read_metrics
from tables import median, print_head, print_row, ratio, show

QUICK_SECONDS = 110
FULL_SECONDS = 1500
JOIN_TIMEOUT = 200


class Generator:
    """A load generator (or the floor) that measures when it is told to."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line(self, timeout):
        """What it printed next, or None when it has ended or is late."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            return None
        text = self.process.stdout.readline()
        return json.loads(text) if text else None

    def measure(self, seconds, publishers=None):
        """`publishers`: so many of them send; None: all."""
        some = "" if publishers is None else f" {publishers}"
        try:
            self.process.stdin.write(f"measure {int(seconds * 1000)}{some}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.line(seconds + 15)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Row:
    """Servers with joined clients. `floors`: name to options of bench_sfu_floor. `priority`: of the
    generators, beside 1 of the servers."""

    def __init__(self, bench, names, options, floors=None, priority=1):
        self.bench = bench
        self.priority = priority
        self.servers = {}
        self.generators = {}
        self.joined = {}
        self.results = {}
        try:
            for name in names:
                self.add(name, options)
            for name, more in (floors or {}).items():
                self.generators[name] = Generator(bench.network.on_generator(pinned(
                    f"{CORE},{CORE + 1}", [f"{bench.build}/bench/bench_sfu_floor", "--address",
                                           bench.network.server_ip, *more])))
                self.results[name] = []
        except Exception:
            self.stop()
            raise

    def add(self, name, options):
        bench = self.bench
        server = KINDS[name](bench.build, bench.folder, bench.network)
        self.servers[name] = server
        server.start()
        command = [f"{bench.build}/bench/bench_sfu", *server.generator_options(), *options]
        generator = Generator(bench.network.on_generator(
            pinned(CORE + 1, command, self.priority)))
        self.generators[name] = generator
        self.joined[name] = generator.line(JOIN_TIMEOUT)
        self.results[name] = []
        if self.joined[name] is None:
            print(f"measure.py: {name}: the clients could not join", file=sys.stderr)

    def measure(self, rounds=None, seconds=None):
        for number in range(rounds or self.bench.rounds):
            for name, generator in self.generators.items():
                if self.joined.get(name, True) is not None:
                    self.results[name].append(generator.measure(seconds or self.bench.seconds))
            if self.bench.late() and number > 0:
                break
        return self

    def stop(self):
        for generator in self.generators.values():
            generator.stop()
        for server in self.servers.values():
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def median(self, name, key):
        return median(self.results.get(name, []), key)

    def latency(self, name, key):
        values = [{"waited": result["waited"], "value": result["latency"][key]}
                  for result in self.results.get(name, []) if result and result["latency"]]
        return median(values, "value")

    def lost(self):
        told = []
        for name in self.servers:
            results = [result for result in self.results[name] if result]
            lost = sum(result["lost"] for result in results)
            if lost:
                sent = lost + sum(result["packets"] for result in results)
                told.append(f"{name} {100 * lost / sent:.2f} %")
        return ", ".join(told) or "0"


class Bench:
    def __init__(self, options):
        self.quick = options.quick
        self.build = options.build
        self.folder = tempfile.mkdtemp(prefix="bench-sfu-")
        self.network = OneHost()
        self.wanted = options.servers.split(",")
        self.counts = [int(count) for count in options.counts.split(",")] if options.counts else []
        self.end = time.monotonic() + (QUICK_SECONDS if self.quick else FULL_SECONDS)
        self.seconds = 0.5 if self.quick else 1
        self.rounds = 3 if self.quick else 5

    def late(self):
        return time.monotonic() > self.end

    def names(self, *names):
        return [name for name in names
                if name in self.wanted and KINDS[name].available(self.build)]

    def sizes(self, full, quick):
        return self.counts or (quick if self.quick else full)

    def close(self):
        self.network.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def floor_options(subscribers, burst, payload, rate, *more):
    return ["--subscribers", str(subscribers), "--burst", str(burst), "--payload", str(payload),
            "--rate", str(rate), *more]


def pair(row, name, key="us", form="{:.2f}"):
    return show(row.median(name, key), form)


def both(row, name):
    """Latency of a burst, p50 / p99."""
    p50, p99 = row.latency(name, "p50"), row.latency(name, "p99")
    return "" if p50 is None else f"{p50:.2f} / {p99:.2f}"


VIDEO = {"1.5 Mbit/s": (5, 1222), "2.5 Mbit/s": (9, 1160)}


def video_rows(bench):
    for subscribers in bench.sizes((50, 100, 200, 400), (100,)):
        yield "1.5 Mbit/s", subscribers
    if not bench.counts and not bench.quick:
        yield "2.5 Mbit/s", 400


def measure_video(bench):
    names = bench.names("roost", "roost-other", "roost-alone", "janus", "janus-streaming")
    if not bench.quick:
        names += bench.names("janus-shipped")
    print_head("One video to N: CPU µs per forwarded packet",
               ["feed", "N", "floor", "roost", "roost / floor", "floor, each alone",
                "roost, each alone", "roost / floor, alone",
                *[n for n in names if "janus" in n or n == "roost-other"],
                "janus / roost", "janus / roost, alone", "lost"])
    more = []
    for feed, subscribers in video_rows(bench):
        burst, payload = VIDEO[feed]
        floor = floor_options(subscribers, burst, payload, 30)
        options = ["--video", "--publishers", "1", "--subscribers", str(subscribers),
                   "--burst", str(burst), "--payload", str(payload)]
        # a thread for each of hundreds of subscribers would take the others' time
        present = [name for name in names if name != "janus-shipped" or subscribers <= 100]
        with Row(bench, present, options,
                 {"floor": floor, "floor-alone": [*floor, "--alone"]}) as row:
            row.measure()
            us = {name: row.median(name, "us") for name in row.generators}
            print_row([feed, str(subscribers), show(us["floor"]), show(us.get("roost")),
                       show(ratio(us.get("roost"), us["floor"])), show(us["floor-alone"]),
                       show(us.get("roost-alone")),
                       show(ratio(us.get("roost-alone"), us["floor-alone"])),
                       *[show(us.get(name)) for name in names
                         if "janus" in name or name == "roost-other"],
                       show(ratio(us.get("janus"), us.get("roost"))),
                       show(ratio(us.get("janus"), us.get("roost-alone"))), row.lost()])
            for name in present:
                more.append([feed, str(subscribers), name, pair(row, name, "pps", "{:,.0f}"),
                             pair(row, name, "gbps"), pair(row, name, "core", "{:.1%}"),
                             both(row, name),
                             show(row.joined[name] and row.joined[name]["memory"] / 1024, "{:.1f}"),
                             show((row.median(name, "memory") or 0) / 1024, "{:.1f}")])
        if bench.late():
            break
    print_head("The same rows: what was carried, and what a subscriber costs",
               ["feed", "N", "server", "packets/s", "Gbit/s", "of a core",
                "burst's last packet p50 / p99 ms", "KiB each, idle", "KiB each, playing"])
    for cells in more:
        print_row(cells)


def measure_latency(bench):
    """By the kernel's own stamps, so without the generator's queue."""
    names = bench.names("roost", "janus")
    print_head("From a 9-packet burst's first packet to its last one's arrival at each subscriber "
               "(the kernel's time stamps), ms", ["N", "server", "p50", "p95", "p99", "max"])
    for subscribers in bench.sizes((100, 400), (100,)):
        options = ["--video", "--publishers", "1", "--subscribers", str(subscribers), "--stamps"]
        with Row(bench, names, options) as row:
            row.measure()
            for name in names:
                print_row([str(subscribers), name] +
                          [show(row.latency(name, key)) for key in ("p50", "p95", "p99", "max")])
        if bench.late():
            break


def measure_audio(bench):
    names = bench.names("roost-all", "roost", "janus")
    print_head("10 voices to N: CPU µs per forwarded packet (roost-all: every voice; roost: the 5 "
               "loudest)",
               ["N", "floor", *names, "roost-all / floor", "janus / roost-all",
                *[f"{name} packets/s" for name in names], *[f"{name} of a core" for name in names],
                "lost"])
    for subscribers in bench.sizes((50, 100, 200), (50,)):
        options = ["--audio", "--publishers", "10", "--subscribers", str(subscribers)]
        with Row(bench, names, options,
                 {"floor": floor_options(subscribers, 1, 160, 500)}) as row:
            row.measure()
            us = {name: row.median(name, "us") for name in row.generators}
            print_row([str(subscribers), show(us["floor"]), *[show(us[name]) for name in names],
                       show(ratio(us.get("roost-all"), us["floor"])),
                       show(ratio(us.get("janus"), us.get("roost-all"))),
                       *[pair(row, name, "pps", "{:,.0f}") for name in names],
                       *[pair(row, name, "core", "{:.1%}") for name in names], row.lost()])
        if bench.late():
            break


def measure_meeting(bench):
    names = bench.names("roost", "roost-all", "janus")
    print_head("Meetings of N: everyone sends a voice and a picture in 3 layers, sees one large and "
               "the others small",
               ["N", *[f"{name} µs" for name in names], "janus / roost-all, per packet",
                *[f"{name} packets/s" for name in names], *[f"{name} of a core" for name in names],
                "janus / roost, in all", *[f"{name} KiB each" for name in names], "lost"])
    for participants in bench.sizes((5, 10, 25, 50), (10,)):
        options = ["--audio", "--video", "--simulcast", "--participants", str(participants),
                   "--burst", "5", "--payload", "1222"]
        with Row(bench, names, options) as row:
            row.measure()
            us = {name: row.median(name, "us") for name in names}
            core = {name: row.median(name, "core") for name in names}
            print_row([str(participants), *[show(us[name]) for name in names],
                       show(ratio(us.get("janus"), us.get("roost-all"))),
                       *[pair(row, name, "pps", "{:,.0f}") for name in names],
                       *[pair(row, name, "core", "{:.1%}") for name in names],
                       show(ratio(core.get("janus"), core.get("roost"))),
                       *[show((row.median(name, "memory") or 0) / 1024, "{:.0f}")
                         for name in names], row.lost()])
        if bench.late():
            break


def measure_join(bench):
    """One after the other, into a room with a voice and a picture; everything is decrypted. roost's
    viewers have data channels, as its SDK's have."""
    names = bench.names("roost", "janus")
    print_head("Joins, from the first byte of signaling, p50 / p95 ms",
               ["viewers", "server", "keys", "first packet", "first whole picture",
                "server's CPU ms each"])
    for subscribers in bench.sizes((100,), (20,)):
        options = ["--audio", "--video", "--publishers", "1", "--subscribers", str(subscribers),
                   "--burst", "5", "--payload", "1222", "--live"]
        for name in names:
            data = ["--data"] if name == "roost" else []
            with Row(bench, [name], options + data) as row:
                joined = row.joined[name]
                if joined:
                    times = [joined[key] for key in ("connected", "first_packet", "first_picture")]
                    print_row([str(subscribers), name,
                               *[f"{t['p50']:.1f} / {t['p95']:.1f}" if t else "" for t in times],
                               f"{joined['join_cpu_us'] / 1000:.2f}"])


def measure_idle(bench):
    names = bench.names("roost", "janus", "janus-shipped")
    columns = [(name, name, []) for name in names]
    if "roost" in names:
        columns.insert(1, ("roost, data channels", "roost", ["--data"]))
    print_head("Subscribers that wait for a picture, KiB each",
               ["N", *[title for title, _, _ in columns]])
    for subscribers in bench.sizes((400,), (100,)):
        options = ["--video", "--publishers", "1", "--subscribers", str(subscribers)]
        cells = []
        for _, name, more in columns:
            with Row(bench, [name], options + more) as row:
                joined = row.joined[name]
                cells.append(show(joined and joined["memory"] / 1024, "{:.1f}"))
        print_row([str(subscribers), *cells])


def measure_cores(bench):
    names = bench.names("roost", "roost-two-on-one", "roost-two")
    print_head("One room on one worker and on two: CPU µs per forwarded packet (two on one core; on "
               "two cores, of which the second is the generator's, too)",
               ["N", *names, "two on one / one", "two / one", "of cores, roost-two"])
    for subscribers in bench.sizes((400,), (100,)):
        options = ["--video", "--publishers", "1", "--subscribers", str(subscribers)]
        with Row(bench, names, options) as row:
            row.measure()
            us = {name: row.median(name, "us") for name in names}
            print_row([str(subscribers), *[show(us[name]) for name in names],
                       show(ratio(us.get("roost-two-on-one"), us.get("roost"))),
                       show(ratio(us.get("roost-two"), us.get("roost"))),
                       pair(row, "roost-two", "core", "{:.1%}")])


def measure_saturation(bench):
    names = bench.names("roost", "janus")
    print_head("2.5 Mbit/s in 9-packet bursts to ever more subscribers",
               ["N", "server", "CPU µs", "packets/s", "Gbit/s", "of a core", "lost %",
                "packets/s that a whole core would carry"])
    for subscribers in bench.sizes((800, 1600), (400,)):
        options = ["--video", "--publishers", "1", "--subscribers", str(subscribers)]
        for name in names:
            if name != "roost" and subscribers > 800:
                continue
            with Row(bench, [name], options) as row:
                row.measure(rounds=3)
                lost, sent = row.median(name, "lost"), row.median(name, "packets")
                pps, core = row.median(name, "pps"), row.median(name, "core")
                print_row([str(subscribers), name, pair(row, name), show(pps, "{:,.0f}"),
                           pair(row, name, "gbps"), show(core, "{:.1%}"),
                           show(sent and 100 * lost / (lost + sent)),
                           show(ratio(pps, core), "{:,.0f}")])
        if bench.late():
            break


SINK_FEED = 9 * 30  # packets a second of a picture
SINK_COUNTED = 4
SINK_PICTURES = (1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20)


def swallowed(bench, row, name, subscribers, publishers, cuts):
    """One round into the sink. Adds `unsent`: what came from the publishers and was not forwarded."""
    server = row.servers[name]
    bench.network.open_sink(cuts)
    try:
        before = read_metrics(server)
        result = row.generators[name].measure(bench.seconds, publishers)
        now = read_metrics(server)
    finally:
        bench.network.close_sink()
    if result:
        came, went = (now[metric] - before[metric] for metric in
                      ("roost_rtp_packets_received_total", "roost_media_packets_forwarded_total"))
        result["unsent"] = 1 - went / (came * subscribers) if came else None
    time.sleep(1.5)  # those who were cut off are asked for their consent anew
    return result


def measure_sink(bench):
    """Receivers take nothing of the machine: a few are real and count for all, the others have
    joined like them, and then what is sent to them goes to a card that swallows it."""
    names = bench.names("roost", "roost-two")
    best, full = {}, set()
    print_head("9-packet bursts to N, of whom all but 4 are behind a card that swallows what it is "
               "sent; one worker on one core, two on two, of which the generator takes some",
               ["N", "the card cuts runs", "server", "pictures", "offered packets/s", "packets/s",
                "CPU µs", "of cores", "lost %", "packets/s of a core at that price"])
    for subscribers in bench.sizes((600,), (300,)):
        options = ["--video", "--publishers", str(SINK_PICTURES[-1]),
                   "--subscribers", str(subscribers), "--counted", str(SINK_COUNTED), "--sink", bench.network.sink_ip]
        for name in names:
            with Row(bench, [name], options, priority=2) as row:
                for cuts, publishers in itertools.product((True, False), SINK_PICTURES):
                    if (cuts, name) in full:
                        continue
                    rounds = [swallowed(bench, row, name, subscribers, publishers, cuts)
                              for _ in range(2)]
                    us, pps, core = (median(rounds, key) for key in ("us", "pps", "core"))
                    unsent = median(rounds, "unsent")
                    print_row([str(subscribers), "yes" if cuts else "no", name, str(publishers),
                               f"{SINK_FEED * publishers * subscribers:,}", show(pps, "{:,.0f}"),
                               show(us), show(core, "{:.1%}"), show(unsent and 100 * unsent),
                               show(ratio(1e6, us), "{:,.0f}")])
                    if unsent is not None and unsent < 0.001:
                        best[cuts, name] = max(pps, best.get((cuts, name), 0))
                    else:
                        full.add((cuts, name))
        if bench.late():
            break
    print_head("Most without loss", ["the card cuts runs", *names, "two / one"])
    for cuts in (True, False):
        most = [best.get((cuts, name)) for name in names]
        print_row(["yes" if cuts else "no", *[show(pps, "{:,.0f}") for pps in most],
                   show(ratio(most[-1], most[0]))])


def measure_overload(bench):
    """Round by round: the first one begins when nothing is left out yet."""
    names = bench.names("roost-alone")
    print_head("A voice and a picture of 2.5 Mbit/s to more subscribers than a core can serve, each "
               "packet on its own",
               ["N", "offered packets/s", "round", "packets/s", "of a core", "voices lost",
                "voice p50 / p99 / max ms"])
    for subscribers in bench.sizes((400, 1200, 1600), (800,)):
        options = ["--audio", "--video", "--publishers", "1", "--subscribers", str(subscribers),
                   "--stamps"]
        for name in names:
            with Row(bench, [name], options) as row:
                row.measure(rounds=4, seconds=3)
                for number, result in enumerate(filter(None, row.results[name])):
                    times = result["audio_latency"] or {}
                    print_row([str(subscribers), f"{320 * subscribers:,}", str(number + 1),
                               f"{result['pps']:,.0f}", f"{result['core']:.0%}",
                               str(result["audio_lost"]),
                               " / ".join(f"{times.get(key, 0):.1f}"
                                          for key in ("p50", "p99", "max"))])
        if bench.late():
            break


PARTS = {
    "join": measure_join,
    "idle": measure_idle,
    "video": measure_video,
    "latency": measure_latency,
    "audio": measure_audio,
    "meeting": measure_meeting,
    "cores": measure_cores,
    "saturation": measure_saturation,
    "sink": measure_sink,
    "overload": measure_overload,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--quick", action="store_true", help="about 2 minutes")
    parser.add_argument("--only", default=",".join(PARTS), help="which of: " + ", ".join(PARTS))
    parser.add_argument("--servers", default=",".join(KINDS), help="which of: " + ", ".join(KINDS))
    parser.add_argument("--counts", default="", help="subscribers or participants, e.g. 100,400")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("measure.py: needs root for a network namespace of its own")
    bench = Bench(options)
    try:
        for part, measure in PARTS.items():
            if part in options.only.split(",") and not bench.late():
                measure(bench)
    except RuntimeError as error:
        sys.exit(f"measure.py: {error}")
    finally:
        bench.close()


if __name__ == "__main__":
    main()
