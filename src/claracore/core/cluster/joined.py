"""Which machines have joined, and what follows from an attempt to join, to leave, to be left alone?

Pure. What is remembered is one value; each change returns another. A machine that has joined is a peer that is
followed, whose address, key and certificate have come by an invitation. Times are unix seconds of this machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

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
    secret: str = ""
    """With which it fetches files of shared models and speaks of itself, and nothing else; it is no key."""


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
    secret: str = ""
    """By which it knows this machine when we speak to it; empty where we joined before there were any."""
    cluster: str = ""
    """Names what it remembers (`Remembered.cluster`): another ClaraCore at its address has another one."""
    tls: bool = False
    """Whether its Ray encrypts."""


@dataclass(frozen=True, slots=True)
class Parted:
    """The machine that this one had joined, and that has forgotten it. `at` is in unix seconds."""

    url: str
    name: str
    """What this machine was called there."""
    at: float


class Standing(StrEnum):
    """How this machine and the one that it has joined stand to each other."""

    UNHEARD = "unheard"
    """It does not answer, or says nothing of it."""
    KNOWN = "known"
    STRANGER = "stranger"
    """At its address is a ClaraCore that remembers other things: its memory was lost, or it is another one."""
    FORGOTTEN = "forgotten"


WORDS: Final = {
    Standing.UNHEARD: "it has not answered of late",
    Standing.KNOWN: "it knows this machine",
    Standing.STRANGER: "another ClaraCore answers there, or one that has lost its memory; join anew, or type: "
    "claracore leave",
    Standing.FORGOTTEN: "it has forgotten this machine: its key here is removed, and Ray is ended; to take note of "
    "it, type: claracore leave",
}
"""What a standing means, for people."""


def standing(head: HeadOfNode, *, is_known: bool, cluster: str) -> Standing:
    """Return what follows from what the head says: whether it knows us, and the name of what it remembers."""
    if is_known:
        return Standing.KNOWN
    return Standing.FORGOTTEN if head.cluster and cluster == head.cluster else Standing.STRANGER


def digest_of_secret(secret: str) -> str:
    """Return what is kept, or compared, of a secret: its SHA-256, as hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


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
    cluster: str = ""
    """Names what is remembered here, so that a node is not forgotten by who has another memory; as `address`."""
    parted: Parted | None = None
    """The last head, if it has forgotten this machine and a person has not yet taken note of it."""

    def invited(self, digest: str, until: float, now: float, address: str = "", cluster: str = "") -> Remembered:
        """Return it with another invitation, to an address of ours; those that are over go.

        `cluster` becomes its name if it has none.
        """
        return replace(
            self,
            invitations=(*self._open(now), (digest, until)),
            address=self.address or address,
            cluster=self.cluster or cluster,
        )

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

    def of_digest(self, digest: str) -> JoinedNode | None:
        """Return the machine whose secret has this SHA-256; None for nobody. A digest may be compared in any time."""
        return next((node for node in self.nodes if node.secret and digest_of_secret(node.secret) == digest), None)

    def with_head(self, head: HeadOfNode) -> Remembered:
        """Return it with another machine that this one has joined."""
        return replace(self, head=head, parted=None)

    def left(self) -> Remembered:
        """Return it without the machine that this one has joined, or without the note that it has forgotten us."""
        return replace(self, head=None, parted=None)

    def was_forgotten(self, now: float) -> Remembered:
        """Return it without its head, which has forgotten this machine; that is noted."""
        if self.head is None:
            return self
        return replace(self, head=None, parted=Parted(self.head.url, self.head.name, now))

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
