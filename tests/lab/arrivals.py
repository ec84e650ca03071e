#!/usr/bin/env python3
"""When packets of media arrive in a network namespace, on whichever device.

    arrivals.py NAMESPACE

Prints "ready", and when it is ended by SIGTERM a line for each RTP packet in UDP: its time in seconds,
where it came from and where it went to.
"""
import ctypes
import os
import signal
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
IPV4, IPV6, UDP = 0x0800, 0x86DD, 17


def addresses_of_media(frame, protocol):
    """Source and destination of SRTP, known by its first bytes (RFC 7983, RFC 5761); None for all else."""
    if protocol == IPV4 and len(frame) > 20 and frame[9] == UDP:
        payload, family, source = (frame[0] & 15) * 4 + 8, socket.AF_INET, frame[12:16]
        destination = frame[16:20]
    elif protocol == IPV6 and len(frame) > 40 and frame[6] == UDP:
        payload, family, source = 48, socket.AF_INET6, frame[8:24]
        destination = frame[24:40]
    else:
        return None
    if len(frame) <= payload + 12 or frame[payload] >> 6 != 2 or 64 <= frame[payload + 1] & 127 < 96:
        return None
    return socket.inet_ntop(family, source), socket.inet_ntop(family, destination)


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{sys.argv[1]}") as target:
        if libc.setns(target.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {sys.argv[1]}")
    # without the link layer's header; the kernel's own time, whatever else the machine does
    watch = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    watch.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    arrivals = []

    def end(*_):
        print("\n".join(arrivals), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        try:
            frame, ancillary, _, address = watch.recvmsg(2048, 64)
        except OSError:
            continue  # ENETDOWN: a device went down, others go on
        if address[0] == "lo" or address[2] == PACKET_OUTGOING:
            continue
        ends = addresses_of_media(frame, address[1])
        if ends:
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            arrivals.append(f"{seconds}.{nanoseconds:09} {ends[0]} {ends[1]}")


main()
