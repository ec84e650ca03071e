#!/usr/bin/env python3
"""A bad link between two network namespaces: delay and loss, by two TUN devices.

    wire.py NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS LOSS_PERCENT

Prints "ready" when both devices are there (down, without addresses) and runs until it is ended.
Some kernels lack netem; TUN they all have.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
QUEUE_MAX = 2000  # packets under way in one direction

libc = ctypes.CDLL(None, use_errno=True)


def open_tun(namespace, device):
    with open(f"/run/netns/{namespace}") as target:
        if libc.setns(target.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN_NO_PI))
    return tun


def main():
    first, second = open_tun(*sys.argv[1:3]), open_tun(*sys.argv[3:5])
    delay_s, loss = float(sys.argv[5]) / 1000, float(sys.argv[6]) / 100
    other = {first: second, second: first}
    on_the_way = []  # (due, order, device, packet)
    count = 0
    print("ready", flush=True)
    while True:
        timeout = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        readable, _, _ = select.select([first, second], [], [], timeout)
        for source in readable:
            try:
                packet = os.read(source, 65536)
            except (BlockingIOError, OSError):
                continue
            if random.random() >= loss and len(on_the_way) < QUEUE_MAX:
                count += 1
                heapq.heappush(on_the_way, (time.monotonic() + delay_s, count, other[source], packet))
        now = time.monotonic()
        while on_the_way and on_the_way[0][0] <= now:
            _, _, target, packet = heapq.heappop(on_the_way)
            try:
                os.write(target, packet)
            except OSError:
                pass  # the device is down


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
