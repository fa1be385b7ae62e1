"""Which machines have joined, and what follows from an attempt to join, to leave, to be left alone?

Pure. What is remembered is one value; each change returns another. A machine that has joined is a peer that is
followed, whose address, key and certificate have come by an invitation. Times are unix seconds of this machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from claracore.core.config.model import Config
from claracore.core.config.routing import PeerConfig


@dataclass(frozen=True, slots=True)
class JoinedNode:
    """A machine that has joined."""

    name: str
    url: str
    key: str
    """What it wants of us with every request."""
    fingerprint: str = ""
    """Of its certificate; empty without TLS."""
    joined_at: float = 0.0


@dataclass(frozen=True, slots=True)
class HeadOfNode:
    """The machine that this one has joined."""

    url: str
    fingerprint: str
    key_name: str
    """The name of the key that it has here."""
    name: str
    """What this machine is called there."""
    own: str = ""
    """The address of this machine, as it was told to the head."""
    gcs: str = ""
    """Where its Ray is, `host:port`; empty without."""


def secret_for_files(key_digest: str) -> str:
    """Return the secret with which a node fetches files of shared models from its head, which opens nothing else.

    It is made of the key that the head has on the node, so that it is never sent before it is used, and ends with it:
    the head has that key, the node its SHA-256 (`key_digest`, in hex).
    """
    return hmac.digest(key_digest.encode(), b"files of shared models", "sha256").hex()


class NotInvited(Exception):
    """The secret is none that is good; says nothing more to whoever tries."""


class NameTaken(Exception):
    """Another machine has the name; says which way out there is."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a ClaraCore remembers of other machines, over its restarts."""

    nodes: tuple[JoinedNode, ...] = ()
    invitations: tuple[tuple[str, float], ...] = ()
    """SHA-256 of a secret, and when it ends."""
    drained: frozenset[str] = frozenset()
    """Machines, joined or not, that get no new requests."""
    head: HeadOfNode | None = None
    address: str = ""
    """Our own, as nodes reach it; empty before the first invitation."""

    def invited(self, digest: str, until: float, now: float, address: str = "") -> Remembered:
        """Return it with another invitation, to an address of ours; those that are over go."""
        return replace(self, invitations=(*self._open(now), (digest, until)), address=self.address or address)

    def is_invited(self, digest: str, now: float) -> bool:
        """Whether an invitation is good now."""
        return any(digest == other for other, _ in self._open(now))

    def expects(self, now: float) -> bool:
        """Whether machines have joined, or may."""
        return bool(self.nodes or self._open(now))

    def joined(self, digest: str, node: JoinedNode, now: float, taken: Iterable[str] = ()) -> Remembered:
        """Return it with a machine that has joined by an invitation, which is used up.

        One that joins again takes its own place. Raises NotInvited, and NameTaken for a name that a peer of the
        configuration has (`taken`), or another machine.
        """
        if not self.is_invited(digest, now):
            raise NotInvited
        if node.name in taken or any(other.name == node.name and other.url != node.url for other in self.nodes):
            raise NameTaken(f"there is a machine {node.name!r} already: take another --name, or forget that one")
        others = tuple(other for other in self.nodes if node.url != other.url)
        invitations = tuple(each for each in self._open(now) if each[0] != digest)
        return replace(self, nodes=(*others, node), invitations=invitations, drained=self.drained - {node.name})

    def forgot(self, name: str) -> Remembered:
        """Return it without a machine."""
        nodes = tuple(other for other in self.nodes if other.name != name)
        return replace(self, nodes=nodes, drained=self.drained - {name})

    def drain(self, name: str, *, drained: bool) -> Remembered:
        """Return it with a machine that gets no new requests, or gets some again."""
        return replace(self, drained=self.drained | {name} if drained else self.drained - {name})

    def _open(self, now: float) -> tuple[tuple[str, float], ...]:
        return tuple(each for each in self.invitations if each[1] > now)


def peer_of(node: JoinedNode) -> PeerConfig:
    """Return the peer that a machine is which has joined."""
    return PeerConfig(proxy=node.url, models="auto", api_key=node.key, fingerprint=node.fingerprint, joined=True)


def with_joined(config: Config, nodes: Iterable[JoinedNode]) -> Config:
    """Return a configuration with the machines that have joined among its peers; its own ones stay as they are."""
    peers: Mapping[str, PeerConfig] = {
        node.name: peer_of(node)
        for node in nodes
        if node.name not in config.peers and node.name not in config.selectors
    }
    if not peers:
        return config
    changed = config.model_copy(update={"peers": {**config.peers, **peers}})
    changed.model_post_init(None)
    return changed
