"""The brokers that bench/signal measures."""

import os
import re
import shutil
import subprocess

from process import CORE, Server, free_port

TRANSPORTS = ("tcp", "tls", "ws")


class Roost(Server):
    name = "roost"

    @staticmethod
    def available(_build):
        return True

    def start(self):
        # a folder of its own each time: nothing is left of the rounds before
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        log = f"{self.folder}/log"
        sets = {"server.data_dir": f"{self.folder}/data", "server.roles": "signal, media", "media.udp_port": 0,
                "http.bind": "127.0.0.1", "http.https_port": 0, "http.http_port": 0,
                "mqtt.bind": "127.0.0.1", "mqtt.tcp": "true", "mqtt.port": 0, "mqtt.tls": "true",
                "mqtt.tls_port": 0, "server.banner": "false",
                "http.max_connections": 50000, "http.max_connections_per_address": 50000}
        command = [f"{self.build}/roost", "serve"]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        self.spawn(command, stdout=open(log, "w"), stderr=subprocess.STDOUT)
        self.wait_for(lambda: '"ready"' in open(log).read(), "the start")
        text = open(log).read()
        listens = re.search(r'"MQTT listens","port":(\d+),"tls_port":(\d+)', text)
        http = re.search(r'"http_port":(\d+)', text)
        self.ports = {"tcp": listens[1], "tls": listens[2], "ws": http[1]}


class Mosquitto(Server):
    name = "mosquitto"

    @staticmethod
    def available(_build):
        return shutil.which("mosquitto") is not None

    def start(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                        "-keyout", f"{self.folder}/key", "-out", f"{self.folder}/certificate"],
                       check=True, stderr=subprocess.DEVNULL)
        os.chmod(self.folder, 0o755)
        os.chmod(f"{self.folder}/key", 0o644)
        self.ports = {name: free_port() for name in TRANSPORTS}
        with open(f"{self.folder}/conf", "w") as conf:
            # as shipped, but for what would drop messages of the benchmark or write a log
            conf.write(f"user root\nallow_anonymous true\npersistence false\nlog_dest none\n"
                       f"max_queued_messages 0\nmax_inflight_messages 100\n"
                       f"listener {self.ports['tcp']} 127.0.0.1\n"
                       f"listener {self.ports['tls']} 127.0.0.1\n"
                       f"certfile {self.folder}/certificate\nkeyfile {self.folder}/key\n"
                       f"listener {self.ports['ws']} 127.0.0.1\nprotocol websockets\n")
        self.spawn(["mosquitto", "-c", f"{self.folder}/conf"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
        self.wait_for(self.listens, "listening")

    def listens(self):
        import socket
        try:
            socket.create_connection(("127.0.0.1", self.ports["tcp"]), 0.2).close()
            return True
        except OSError:
            return False


KINDS = {kind.name: kind for kind in (Roost, Mosquitto)}
assert CORE == 0
