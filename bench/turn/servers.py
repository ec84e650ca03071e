"""The servers that bench/turn measures."""

import base64
import glob
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time

from process import CORE, Server, free_port, pinned

SECRET = "bench-secret"


def credentials():
    """Time-limited credentials, as both servers know them."""
    user = f"{int(time.time()) + 86400}:bench"
    digest = hmac.new(SECRET.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()


class TurnServer(Server):
    """`options` are those of bench_turn that are particular to it."""

    transports = ("udp",)
    indications = True
    options = ()

    def arguments(self, transport="udp"):
        """For bench_turn."""
        return ["--server", f"{self.network.server_ip}:{self.ports[transport]}", "--pid", str(self.process.pid),
                "--core", str(CORE), *self.options]


class Forwarder(TurnServer):
    name = "forwarder"
    indications = False
    options = ("--bare",)

    def start(self):
        self.spawn([f"{self.build}/bench/bench_turn_forwarder", self.network.server_ip],
                   stdout=subprocess.PIPE)
        self.ports["udp"] = int(self.process.stdout.readline())

    @staticmethod
    def available(_build):
        return True


class Coturn(TurnServer):
    name = "coturn"
    transports = ("udp", "tcp", "tls")

    @staticmethod
    def available(_build):
        return shutil.which("turnserver") is not None

    def start(self):
        for old in glob.glob(f"{self.folder}/*"):
            os.remove(old)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                        "-keyout", f"{self.folder}/key", "-out", f"{self.folder}/certificate"],
                       check=True, stderr=subprocess.DEVNULL)
        port, tls_port = free_port(), free_port()
        self.ports = {"udp": port, "tcp": port, "tls": tls_port}
        address = self.network.server_ip
        log = f"{self.folder}/log"
        # -n: no configuration file. The ports of relays are not those of the other servers.
        self.spawn(["turnserver", "-n", "--listening-ip", address, "--relay-ip", address,
                    "--listening-port", str(port), "--tls-listening-port", str(tls_port),
                    "--min-port", "10000", "--max-port", "21999", "--relay-threads", "1",
                    "--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "bench",
                    "--allow-loopback-peers", "--no-cli", "--no-dtls",
                    "--cert", f"{self.folder}/certificate", "--pkey", f"{self.folder}/key",
                    "--userdb", f"{self.folder}/users", "--pidfile", f"{self.folder}/pid",
                    "--log-file", log, "--simple-log", "--no-stdout-log"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for(lambda: self.ready(log), "listening")
        time.sleep(0.5)

    @staticmethod
    def ready(log):
        if not os.path.exists(log):
            return False
        with open(log, encoding="utf-8") as lines:
            return "Total General servers" in lines.read()


class Roost(TurnServer):
    name = "roost"
    transports = ("udp", "tcp", "tls")
    settings = ()

    @staticmethod
    def available(build):
        return os.access(f"{build}/roost", os.X_OK)

    def start(self):
        port, tls_port = free_port(), free_port()
        self.ports = {"udp": port, "tcp": port, "tls": tls_port}
        log = f"{self.folder}/log"
        settings = {
            "server.roles": "turn",
            "server.workers": "1",
            "media.bind": self.network.server_ip,
            "media.udp_port": str(port),
            "turn.bind": self.network.server_ip,
            "turn.port": str(port),
            "turn.tls_port": str(tls_port),
            "turn.relay_addresses": self.network.server_ip,
            "turn.min_port": "22000",
            "turn.max_port": "32767",
            "turn.secrets": SECRET,
            "turn.allowed_peers": self.network.peers,
            "turn.max_allocations_per_user": "0",
            "turn.unauthenticated_rate": "1000000",
            "turn.unauthenticated_burst": "1000000",
            "log.format": "json",
        }
        settings.update(self.settings)
        command = [f"{self.build}/roost", "serve", "--data", f"{self.folder}/data"]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with open(log, "w", encoding="utf-8") as output:
            self.spawn(command, stdout=output, stderr=output)
        self.wait_for(lambda: self.ready(log), "being ready")

    @staticmethod
    def ready(log):
        with open(log, encoding="utf-8") as lines:
            return '"message":"ready"' in lines.read()


KINDS = {kind.name: kind for kind in (Roost, Coturn, Forwarder)}


def run_generator(build, command, server, options, timeout=60, transport="udp"):
    """One measurement: what bench_turn printed, or None when it failed."""
    user, password = credentials()
    arguments = [f"{build}/bench/bench_turn", command, *server.arguments(transport),
                 "--transport", transport, "--user", user, "--password", password,
                 *server.network.generator_options, *options]
    command = server.network.on_generator(pinned(CORE + 1, arguments))
    try:
        done = subprocess.run(command, timeout=timeout, stdout=subprocess.PIPE, check=False)
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None
