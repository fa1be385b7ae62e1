"""One rank of a model server that runs on several machines, as vLLM's `--nnodes` does.

    fake_ranks.py --nnodes N --node-rank R --master-addr A --master-port P [--headless] [--port N ...]

Rank 0 listens at the master's address and serves (as fake_server.py, with all other flags) when every other rank has
connected; a rank that is lost afterwards it does not notice, or, with --notices, dies of. The others end when rank 0
does. --fail-file F: a rank ends at once while that file exists; --late-file F: it connects only when that one does.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fakes import fake_server
from fakes.fake_http import say


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnodes", type=int, required=True)
    parser.add_argument("--node-rank", type=int, required=True)
    parser.add_argument("--master-addr", required=True)
    parser.add_argument("--master-port", type=int, required=True)
    parser.add_argument("--fail-file", default="")
    parser.add_argument("--late-file", default="")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--notices", action="store_true")
    return parser.parse_known_args(argv)


def watch(connection: socket.socket, *, notices: bool) -> None:
    while connection.recv(1):
        pass
    if notices:
        say("a rank was lost")
        os._exit(1)


def gather(options: argparse.Namespace) -> None:
    """Wait for all other ranks."""
    ranks: set[int] = set()
    with socket.create_server((options.master_addr, options.master_port)) as listener:
        while len(ranks) < options.nnodes - 1:
            connection, _ = listener.accept()
            ranks.add(int(connection.recv(8).decode()))
            threading.Thread(target=watch, args=(connection,), kwargs={"notices": options.notices}, daemon=True).start()
            say(f"ranks {sorted(ranks)} are there")


def follow(options: argparse.Namespace) -> None:
    """Be a rank until the master goes."""
    while options.late_file and not Path(options.late_file).exists():
        time.sleep(0.02)
    while True:
        try:
            connection = socket.create_connection((options.master_addr, options.master_port))
            break
        except OSError:
            time.sleep(0.02)
    connection.sendall(str(options.node_rank).encode())
    while connection.recv(1):
        pass
    say("the master has gone")
    sys.exit(1)


def main(argv: list[str]) -> None:
    options, rest = parse(argv)
    if options.fail_file and Path(options.fail_file).exists():
        say("no GPU is left")
        sys.exit(7)
    if options.headless:
        follow(options)
    gather(options)
    sys.argv[1:] = rest
    fake_server.main()


if __name__ == "__main__":
    main(sys.argv[1:])
