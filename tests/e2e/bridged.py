"""How does a test have machines that each have a network of their own, and cables between them?

Network namespaces on one bridge; the head is where the test is, at the bridge itself. Only root has them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e.instance import WAIT_SECONDS, until
from e2e.joined import NONE, Joined
from e2e.test_ray import APART, NODES, ray_of

BRIDGE = "ccbridge"
HEAD = "10.99.1.1"
SLOW = ("tbf", "rate", "20kbit", "burst", "1600", "latency", "4s")
"""2.5 kB/s, and what is sent stands in a queue for up to 4 s."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=60)


class Bridge:
    """The machines by name, each with the port on the bridge that its cable is in."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.spaces = {name: f"claracore-{os.getpid()}-{name}" for name in names}
        self.ports = {name: f"cc{number}" for number, name in enumerate(names)}
        self.addresses = {name: f"10.99.1.{number}" for number, name in enumerate(names, 2)}

    def make(self, stack: ExitStack) -> None:
        ip("link", "add", BRIDGE, "type", "bridge")
        stack.callback(ip, "link", "delete", BRIDGE)
        ip("address", "add", f"{HEAD}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for name, space in self.spaces.items():
            ip("netns", "add", space)
            stack.callback(ip, "netns", "delete", space)
            port = self.ports[name]
            ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", port, "master", BRIDGE, "up")
            ip("-n", space, "address", "add", f"{self.addresses[name]}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", space, "link", "set", device, "up")

    def inside(self, name: str) -> tuple[str, ...]:
        """Return the words that run a command on a machine."""
        return ("ip", "netns", "exec", self.spaces[name])

    @contextmanager
    def cut(self, name: str) -> Iterator[float]:
        """Have a machine's cable out for the length of a block; gives when it was taken out."""
        ip("link", "set", self.ports[name], "down")
        try:
            yield time.monotonic()
        finally:
            ip("link", "set", self.ports[name], "up")

    def shape(self, name: str, *how: str) -> None:
        """Have what a machine sends be slow."""
        tc = ["tc", "qdisc", "replace", "dev", "eth0", "root", *how]
        subprocess.run([*self.inside(name), *tc], check=True, timeout=60)

    def unshape(self, name: str) -> None:
        """Have it be as fast as it can."""
        tc = ["tc", "qdisc", "delete", "dev", "eth0", "root"]
        subprocess.run([*self.inside(name), *tc], check=True, timeout=60)


class Bridged(Joined):
    """A head and two nodes, `desk` and `lap`, which have joined it."""

    def __init__(self, folder: Path, stack: ExitStack, *, has_ray: bool) -> None:
        super().__init__(folder, stack)
        self.has_ray = has_ray
        self.bridge = Bridge(tuple(NODES))
        self.bridge.make(stack)
        addresses = {"head": HEAD, **self.bridge.addresses}
        self.addresses = {name: f"{address}:5800" for name, address in addresses.items()}

    def begin(self, of_desk: str, of_lap: str, placement: str = "avoid: [lap]") -> None:
        """Start all three with these models, and have two join the first."""
        prefer = f"placement: {{{placement}}}\n"
        self.start("head", self._cluster(0) + NONE + prefer, run_by=APART)
        for number, (who, models) in enumerate((("node", of_desk), ("other", of_lap)), 1):
            self.start(who, self._cluster(number) + models, run_by=self.bridge.inside(who))
            self._join(who)
        until(lambda: all(self.state(name) == "up" for name in NODES.values()))
        if self.has_ray:
            until(lambda: all((self.node(name) or {})["witness"] == "there" for name in NODES.values()))

    def _cluster(self, number: int) -> str:
        return ray_of(number) if self.has_ray else "cluster: {ray: false}\n"

    def _join(self, who: str) -> None:
        url = self.running[who].url
        words = [sys.executable, "-m", "claracore", "join", self.invite(), "--name", NODES[who], "--url", url]
        done = subprocess.run(
            [*self.bridge.inside(who), *words], check=True, capture_output=True, text=True, timeout=WAIT_SECONDS
        )
        self.keys[who] = done.stdout.split()[-1]

    def state(self, name: str = "desk") -> str:
        return str((self.node(name) or {}).get("state"))

    def kill(self, who: str) -> None:
        """End a machine as a power cut does: everything of it at once."""
        children = self.running[who].children()
        self.running[who].process.kill()
        for child in children:
            child.kill()

    def servers(self, who: str) -> set[int]:
        """Return the processes that have models loaded."""
        return {each.pid for each in self.running[who].children() if "fake_server" in " ".join(each.cmdline())}
