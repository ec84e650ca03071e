"""The media servers that bench/sfu measures."""

import glob
import os
import shutil
import subprocess

from process import CORE, Server, pinned

HTTP_PORT = 18080


class MediaServer(Server):
    """Runs in a namespace of its own address, so its ports are always the same. `kind` is the
    generator's signaling."""

    kind = ""
    cores = str(CORE)
    port = HTTP_PORT
    sends_alone = False  # every packet is a datagram of its own to the kernel
    kinds_of_rows = ("video", "audio", "meeting", "join")

    def spawn(self, command, **more):
        """On its cores, which need not be one."""
        command = self.network.on_server(pinned(self.cores, command))
        self.process = subprocess.Popen(command, **more)

    def log(self):
        return f"{self.folder}/log"

    def said(self, words):
        with open(self.log(), encoding="utf-8", errors="replace") as lines:
            return words in lines.read()

    def generator_options(self):
        return ["--server", f"{self.network.server_ip}:{self.port}", "--kind", self.kind,
                "--address", self.network.server_ip, "--pid", str(self.process.pid),
                "--core", str(CORE)]


class Roost(MediaServer):
    name = "roost"
    kind = "native"
    workers = 1
    settings = {}

    @staticmethod
    def available(build):
        return os.access(f"{build}/roost", os.X_OK)

    def program(self):
        return f"{self.build}/roost"

    def start(self):
        settings = {
            "server.workers": str(self.workers),
            "http.bind": self.network.server_ip,
            "http.http_port": str(self.port),
            "http.https_port": "0",
            "http.trust_plain": "true",
            "media.bind": self.network.server_ip,
            "media.udp_port": str(self.port + 1000),
            "turn.port": "0",
            "turn.tls_port": "0",
            "log.format": "json",
            "http.max_connections": "20000",
            "http.max_connections_per_address": "20000",
            "signal.max_sessions_per_address": "20000",
            "rooms.max_members": "20000",
            "rooms.max_audio_slots": "64",
            "rooms.max_video_slots": "64",
            "metrics.allow": self.network.server_ip,
        }
        settings.update(self.settings)
        shutil.rmtree(f"{self.folder}/data", ignore_errors=True)
        command = [self.program(), "serve", "--data", f"{self.folder}/data"]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with open(self.log(), "w", encoding="utf-8") as output:
            self.spawn(command, stdout=output, stderr=output)
        self.wait_for(lambda: self.said('"message":"ready"'), "being ready")


class RoostAlone(Roost):
    """Without the kernel's joining and cutting of runs: every packet on its own."""

    name = "roost-alone"
    sends_alone = True
    settings = {"media.gso": "false", "media.gro": "false"}
    port = HTTP_PORT + 1


class RoostOther(Roost):
    """Another build of the server, to compare with: the program that ROOST_OTHER names."""

    name = "roost-other"
    port = HTTP_PORT + 8

    @staticmethod
    def available(build):
        return os.access(os.environ.get("ROOST_OTHER", ""), os.X_OK)

    def program(self):
        return os.environ["ROOST_OTHER"]


class RoostAllVoices(Roost):
    """Forwards every voice, as servers without a choice of the loudest do."""

    name = "roost-all"
    settings = {"rooms.loudest_audio": "0"}
    port = HTTP_PORT + 2


class RoostTwo(Roost):
    """Two workers on two cores, the generator's among them: for the cost per packet only."""

    name = "roost-two"
    workers = 2
    cores = "0,1"
    port = HTTP_PORT + 3


class RoostTwoOnOne(Roost):
    """Two workers on the one core of the server: what the division costs, undisturbed."""

    name = "roost-two-on-one"
    workers = 2
    port = HTTP_PORT + 7


def read_metrics(server):
    """The sums of a roost's metrics by name, whatever their labels."""
    url = f"http://{server.network.server_ip}:{server.port}/metrics"
    told = subprocess.run(server.network.on_server(["curl", "-sS", url]), check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    sums = {}
    for line in told.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = name.split("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums


JANUS_CONFIG = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    debug_level = 3
    session_timeout = 0
    {event_loops}
}}
nat: {{
    ice_enforce_list = "{address}"
}}
"""
JANUS_WEBSOCKETS = """
general: {{
    json = "plain"
    ws = true
    ws_port = {port}
    ws_ip = "{address}"
}}
"""
JANUS_VIDEOROOM = """
room-1: {
    description = "load"
    publishers = 200
    bitrate = 0
    audiocodec = "opus"
    videocodec = "vp8"
    record = false
}
"""
JANUS_STREAMING = """
load: {{
    type = "rtp"
    id = 1
    description = "load"
    audio = false
    video = true
    videoiface = "{address}"
    videoport = {rtp_port}
    videopt = 96
    videocodec = "vp8"
}}
"""


class Janus(MediaServer):
    """Debian's package, its videoroom plugin, with one event loop for all peers: its best mode on
    one core."""

    name = "janus"
    kind = "videoroom"
    sends_alone = True
    event_loops = "event_loops = 1"
    port = HTTP_PORT + 4
    rtp_port = 15004

    @staticmethod
    def available(_build):
        return shutil.which("janus") is not None

    def start(self):
        shutil.rmtree(self.folder)
        for part, names in (("plugins", ("videoroom", "streaming")), ("transports", ("websockets",))):
            os.makedirs(f"{self.folder}/{part}")
            for name in names:
                file = f"libjanus_{name}.so"
                found = glob.glob(f"/usr/lib/*/janus/{part}/{file}") + \
                    glob.glob(f"/usr/lib/janus/{part}/{file}")
                os.symlink(found[0], f"{self.folder}/{part}/{file}")
        values = {"folder": self.folder, "address": self.network.server_ip, "port": self.port,
                  "event_loops": self.event_loops, "rtp_port": self.rtp_port}
        for name, text in (("janus.jcfg", JANUS_CONFIG.format(**values)),
                           ("janus.transport.websockets.jcfg", JANUS_WEBSOCKETS.format(**values)),
                           ("janus.plugin.videoroom.jcfg", JANUS_VIDEOROOM),
                           ("janus.plugin.streaming.jcfg", JANUS_STREAMING.format(**values))):
            with open(f"{self.folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        with open(self.log(), "w", encoding="utf-8") as output:
            self.spawn(["janus", "-C", f"{self.folder}/janus.jcfg", "-F", self.folder],
                       stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self.wait_for(self.listens, "listening")

    def listens(self):
        command = self.network.on_server(["ss", "-Hltn", f"sport = :{self.port}"])
        return bool(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout.strip())

    def generator_options(self):
        return super().generator_options() + ["--rtp-port", str(self.rtp_port)]


class JanusThreads(Janus):
    """As shipped: a thread for each peer."""

    name = "janus-shipped"
    event_loops = ""
    port = HTTP_PORT + 5
    rtp_port = 15005


class JanusStreaming(Janus):
    """Its streaming plugin, which takes plain RTP and has no publisher to decrypt."""

    name = "janus-streaming"
    kind = "streaming"
    kinds_of_rows = ("video",)
    port = HTTP_PORT + 6
    rtp_port = 15006


KINDS = {kind.name: kind for kind in (Roost, RoostAlone, RoostOther, RoostAllVoices, RoostTwo,
                                      RoostTwoOnOne, Janus, JanusThreads, JanusStreaming)}
