"""A process that wants the prompts of others: takes a port whenever it can be had, in any way, and answers 200.

    python -I -S thief.py PORT [UID]

Prints "ready" at once, "got PORT" whenever it listens, "prompt" for each request for a model that it was sent. It gives
the port back every few connections and takes it again, as fast as it can.
"""

from __future__ import annotations

import os
import socket
import sys

REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"answered": "by me"}'
WAYS = [(host, address, port) for host in ("127.0.0.1", "0.0.0.0") for address in (0, 1) for port in (0, 1)]


def take(port: int) -> socket.socket | None:
    for host, address, share in WAYS:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, share)
        try:
            sock.bind((host, port))
            sock.listen()
        except OSError:
            sock.close()
        else:
            return sock
    return None


def serve(listener: socket.socket) -> None:
    """Answer a few; the listener is closed as soon as a connection is there, so that nobody sees it for long."""
    listener.settimeout(0.02)
    for _ in range(3):
        try:
            connection, _ = listener.accept()
        except OSError:
            continue
        with connection:
            connection.settimeout(0.5)
            try:
                if b"/v1/" in connection.recv(65536):
                    print("prompt", flush=True)  # noqa: T201
                connection.sendall(REPLY)
            except OSError:
                pass


def main() -> None:
    port = int(sys.argv[1])
    if len(sys.argv) > 2:
        os.setuid(int(sys.argv[2]))
    print("ready", flush=True)  # noqa: T201
    while True:
        listener = take(port)
        if listener is not None:
            print("got", port, flush=True)  # noqa: T201
            with listener:
                serve(listener)


if __name__ == "__main__":
    main()
