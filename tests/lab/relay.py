#!/usr/bin/env python3
"""Connects standard input and output with a TCP port of this namespace.

    relay.py PORT
"""
import os
import select
import socket
import sys

end = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    readable, _, _ = select.select([0, end], [], [])
    for source in readable:
        data = os.read(0, 65536) if source == 0 else end.recv(65536)
        if not data:
            sys.exit()
        if source == 0:
            end.sendall(data)
        else:
            view = memoryview(data)
            while view:
                view = view[os.write(1, view):]
