"""Servers that benchmarks measure: each starts alone on a core, on free ports, and is ended by its
process id."""

import os
import socket
import subprocess
import time

CORE = 0


def pinned(core, command, priority=1):
    """`command` on one core; as root, before all other programs of the machine, and before those of
    lower priority."""
    first = ["chrt", "-f", str(priority)] if os.geteuid() == 0 else []
    return [*first, "taskset", "-c", str(core), *command]


def free_port():
    """A port that is free for UDP and TCP on loopback."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(("127.0.0.1", udp.getsockname()[1]))
            except OSError:
                continue
            return udp.getsockname()[1]


class Server:
    """A running server."""

    name = ""

    def __init__(self, build, folder, network):
        self.build = build
        self.network = network
        self.folder = os.path.join(folder, self.name)
        os.makedirs(self.folder, exist_ok=True)
        self.process = None
        self.ports = {}

    def start(self):
        """Starts the server and waits until it serves; sets `ports` by transport."""
        raise NotImplementedError

    def spawn(self, command, **more):
        command = self.network.on_server(pinned(CORE, command))
        self.process = subprocess.Popen(command, **more)

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def wait_for(self, condition, what):
        for _ in range(200):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once: see {self.folder}")
            if condition():
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: {what} did not happen: see {self.folder}")
