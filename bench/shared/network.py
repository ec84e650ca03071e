"""Where servers and load generator meet: loopback; or a pair of virtual network cards between two
namespaces. Unlike loopback, each card can be told how it sends and receives:

- the generator's card cuts runs itself (no segmentation offload), so that packets arrive one by one
  although a burst costs the generator one system call: it becomes faster than any server;
- the server's card joins what arrives (GRO), or not, as real cards do.

Or one namespace for both, with a card whose address is the host's own: what is sent to it crosses
loopback, but programs that refuse loopback's addresses take it. Clients of its sink's address are
reached like all others until it is opened: from then on what is sent to them goes to a card that
swallows it.

Needs root. Namespaces carry this process's id and are removed at the end."""

import array
import fcntl
import os
import socket
import struct
import subprocess

SERVER_IP = "10.77.0.1"
GENERATOR_IP = "10.77.0.2"
CLIENTS = "10.78.0.0/16"
CLIENT_IP = "10.78.0.0"
SINK_IP = "10.79.0.1"

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSSET_INFO, ETHTOOL_SFEATURES = 0x1B, 0x37, 0x3B
ETH_SS_FEATURES = 4
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
TUN_F_CSUM, TUN_F_USO = 0x01, 0x60


def ethtool(card, data):
    buffer = array.array("B", data)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sP", card.encode(), buffer.buffer_info()[0])
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    return bytes(buffer)


def set_feature(card, name, on):
    """One offload of a card in this network namespace, by the name that ethtool -k shows."""
    info = ethtool(card, struct.pack("IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0))
    count = struct.unpack_from("I", info, 16)[0]
    strings = ethtool(card, struct.pack("III", ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count)
                      + bytes(32 * count))
    names = [strings[12 + 32 * i:44 + 32 * i].split(b"\0")[0].decode() for i in range(count)]
    index = names.index(name)
    blocks = [[0, 0] for _ in range((count + 31) // 32)]
    blocks[index // 32] = [1 << index % 32, (1 if on else 0) << index % 32]
    ethtool(card, struct.pack("II", ETHTOOL_SFEATURES, len(blocks))
            + b"".join(struct.pack("II", *block) for block in blocks))


def inside(namespace, function, *arguments):
    """Calls `function` in a child process in the namespace."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(f"/run/netns/{namespace}", "rb") as handle:
                enter(handle.fileno())
            function(*arguments)
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"{function.__name__}{arguments} in {namespace} failed")


def enter(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def open_tun(namespace, name):
    """A card in a namespace whose packets come to the descriptor that is returned. When nobody reads
    them its queue is soon full, and everything that follows is dropped at once."""
    with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{namespace}", "rb") as away:
        enter(away.fileno())
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, TUNSETIFF,
                        struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        finally:
            enter(home.fileno())
    return descriptor


class Loopback:
    """Everything on 127.0.0.0/8."""

    server_ip = "127.0.0.1"
    peers = "127.0.0.0/8"
    generator_options = ()

    def on_server(self, command):
        return command

    def on_generator(self, command):
        return command

    def close(self):
        pass


class Veth:
    server_ip = SERVER_IP
    peers = "10.0.0.0/8"
    generator_options = ("--client-ip", CLIENT_IP, "--peer-ip", GENERATOR_IP)

    def __init__(self):
        self.server = f"bench-{os.getpid()}-s"
        self.generator = f"bench-{os.getpid()}-g"
        try:
            self.build()
        except Exception:
            self.close()
            raise

    @staticmethod
    def possible():
        return os.geteuid() == 0

    def build(self):
        for name in (self.server, self.generator):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        self.ip("link", "add", "card", "netns", self.server, "type", "veth",
                "peer", "name", "card", "netns", self.generator)
        for name, address in ((self.server, SERVER_IP), (self.generator, GENERATOR_IP)):
            self.ip("-n", name, "address", "add", f"{address}/24", "dev", "card")
            self.ip("-n", name, "link", "set", "card", "up")
        # every address of this network is the generator's
        self.ip("-n", self.server, "route", "add", CLIENTS, "via", GENERATOR_IP)
        self.ip("-n", self.generator, "route", "add", "local", CLIENTS, "dev", "lo")
        # the pair hands over whole runs, and joins none, as long as the sender's card takes runs
        for feature in ("tx-udp-segmentation", "tx-tcp-segmentation", "tx-tcp-ecn-segmentation",
                        "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation"):
            inside(self.generator, set_feature, "card", feature, False)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def on_server(self, command):
        return ["ip", "netns", "exec", self.server, *command]

    def on_generator(self, command):
        return ["ip", "netns", "exec", self.generator, *command]

    def arrange(self, joins, cuts):
        """Whether the server's card joins what arrives for sockets that want it (GRO), and whether
        it takes runs and cuts them itself (USO) or leaves that to the server's system."""
        inside(self.server, set_feature, "card", "rx-gro", joins)
        inside(self.server, set_feature, "card", "tx-udp-segmentation", cuts)

    def close(self):
        for name in (self.server, self.generator):
            subprocess.run(["ip", "netns", "delete", name], check=False,
                           stderr=subprocess.DEVNULL)


class OneHost:
    """Everything in one namespace, on the address of its card."""

    server_ip = SERVER_IP
    sink_ip = SINK_IP

    def __init__(self):
        self.name = f"bench-{os.getpid()}"
        try:
            Veth.ip("netns", "add", self.name)
            Veth.ip("-n", self.name, "link", "set", "lo", "up")
            Veth.ip("-n", self.name, "link", "add", "card", "type", "veth", "peer", "name", "other")
            Veth.ip("-n", self.name, "address", "add", f"{SERVER_IP}/24", "dev", "card")
            self.sink = open_tun(self.name, "sink")
            for card in ("card", "other", "sink"):
                Veth.ip("-n", self.name, "link", "set", card, "up")
            self.close_sink()
        except Exception:
            self.close()
            raise

    def on_server(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    on_generator = on_server

    def close_sink(self):
        """The sink's address is one of this host, whose programs use it."""
        Veth.ip("-n", self.name, "route", "flush", SINK_IP)
        Veth.ip("-n", self.name, "address", "add", f"{SINK_IP}/32", "dev", "lo")

    def open_sink(self, cuts):
        """What is sent to the address vanishes in a card that takes runs and cuts them itself (USO)
        or leaves that to the system; its programs are cut off."""
        fcntl.ioctl(self.sink, TUNSETOFFLOAD, TUN_F_CSUM | (TUN_F_USO if cuts else 0))
        Veth.ip("-n", self.name, "address", "delete", f"{SINK_IP}/32", "dev", "lo")
        Veth.ip("-n", self.name, "route", "add", f"{SINK_IP}/32", "dev", "sink")

    def close(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=False,
                       stderr=subprocess.DEVNULL)
