# SPDX-License-Identifier: GPL-3.0-only
"""A server of HTTP that answers after delays that it knows, and a client of it: each tells what it saw."""

import heapq
import json
import math
import os
import random
import select
import socket
import struct
import time

REQUESTS = 4000


def delays():
    """From 4 ms to 0.4 s, each as likely as twice that; the longest stand apart, as tails do."""
    dice = random.Random(5)
    drawn = [0.004 * math.exp(dice.random() * math.log(100)) for _ in range(REQUESTS - 40)]
    drawn += [0.5 * 1.02 ** step for step in range(40)]
    dice.shuffle(drawn)
    return drawn


def serve_late(ready, told):
    """Answers each request after the delay that is its turn, and tells how long each has really taken."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    os.write(ready, struct.pack("q", listener.getsockname()[1]))
    poll, sockets, due, true, turn = select.epoll(), {}, [], [], iter(delays())
    poll.register(listener, select.EPOLLIN)
    while len(true) < REQUESTS:
        wait = max(0, due[0][0] - time.monotonic()) if due else -1
        for fd, _ in poll.poll(wait if due else None):
            if fd == listener.fileno():
                connection, _ = listener.accept()
                sockets[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            data = sockets[fd].recv(1000)
            now = time.monotonic()
            if data:
                heapq.heappush(due, (now + next(turn), now, fd))
            else:
                poll.unregister(fd)
        while due and due[0][0] <= time.monotonic():
            _, began, fd = heapq.heappop(due)
            sockets[fd].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            true.append(time.monotonic() - began)
    os.write(told, json.dumps(true).encode())
    time.sleep(60)


def ask_late(port, told):
    """As many at once as there are connections; tells how long each has taken for us."""
    poll, asked, true, left = select.epoll(), {}, [], REQUESTS

    def ask(connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: late\r\n\r\n")
        asked[connection.fileno()] = (connection, time.monotonic())

    for _ in range(64):
        connection = socket.create_connection(("127.0.0.1", port))
        poll.register(connection, select.EPOLLIN)
        ask(connection)
        left -= 1
    while len(true) < REQUESTS:
        for fd, _ in poll.poll():
            connection, began = asked[fd]
            connection.recv(1000)
            true.append(time.monotonic() - began)
            if left:
                ask(connection)
                left -= 1
            else:
                poll.unregister(fd)
                connection.close()
    os.write(told, json.dumps(true).encode())
    time.sleep(60)
