"""What does the gateway know about each model name?

Pure. `Config` -> `Targets` is worked out once per configuration; a request then costs one dictionary look-up
(`resolver.py`). A name may stand for another: under the active profile for its pin, as a selector for the target that
is best now. Strategies of selectors as llama-swap has them: `pin` is the
first target; `warm` the first that is ready, else the first that starts, else the first; `spillover` the least busy of
those that run, as long as it has fewer requests than `spillover`; else the next that does not run; else the least busy
of all. Whose server is stopping is chosen last: its requests wait until it has stopped. What a pin or a selector stands
for is written into the request as its model, and so is the default model where a request names none or one that nothing
has: there are servers that answer to their own names only. An alias stays as the client wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.peers import shared_names
from claracore.core.config.ranks import is_spread
from claracore.core.config.regex import Regex
from claracore.core.config.routing import PeerConfig, Selector
from claracore.core.ports.address import is_this_host
from claracore.http.gateway.unknown_names import UnknownNames, unknown_names
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.http.gateway.upstream import Destination


@dataclass(slots=True)
class ActiveProfile:
    """The profile that is in force, by name."""

    name: str | None = None


@dataclass(slots=True, eq=False)
class Target:
    """One model as the gateway sees it under one of its names."""

    model_id: str
    base_path: bytes
    """Path of the `proxy` URL, put before every path; empty when there is none."""
    host: bytes
    """Host header for an external `proxy`; empty: the endpoint's own address."""
    tls_host: str
    """Name on the certificate of an https `proxy`; empty: plain TCP."""
    fingerprint: str
    """SHA-256 of the certificate of an https `proxy`; empty: an authority must have signed it."""
    use_model_name: str
    strip_params: tuple[str, ...]
    set_params: Mapping[str, Any]
    send_loading_state: bool
    ignore_websockets: bool
    connect_timeout_seconds: float
    """0 means none; so below."""
    response_head_timeout_seconds: float | None
    """None: as long as it lives (`liveness`)."""
    health_path: bytes
    """Where any answer is a sign of life."""
    unlisted: bool
    """Not to be mentioned."""
    own_lines: tuple[bytes, ...] | None
    """Of a peer: header lines with its key. A peer is told nothing of who asked here, neither key nor address."""
    priority: int
    """Its place in the queue."""
    selector: str = ""
    """The name that chooses it among others; empty when it was named itself."""
    node: str = ""
    """The machine that has it, by the name of a peer that is followed; empty for all others."""
    peer: str = ""
    """The name of the peer that has it, followed or not; empty for a model of this machine."""
    shared: str = ""
    """The name under which several machines have it; empty where it is one machine's."""
    is_spread: bool = False
    """Whether several machines run it together: when it breaks off an answer, one of them may be the reason."""
    moves: bool = False
    """Whether a request may go to another target, on another machine, when this one fails."""
    edits: bool = field(init=False)
    """Whether request bodies are changed on their way."""
    destination: Destination | None = None
    """To where its requests went last, which is to where the next one goes while its server is the same."""

    def __post_init__(self) -> None:
        self.edits = bool(self.use_model_name or self.strip_params or self.set_params)


@dataclass(frozen=True, slots=True)
class Choice:
    """A selector with its targets."""

    selector: Selector
    targets: tuple[Target, ...]

    def choose(
        self,
        targets: Sequence[Target],
        state: Callable[[str], ModelState],
        busy: Callable[[str], int],
        turn: int,
    ) -> Target:
        """Return the one of `targets` to use now; `turn` counts up, so that equally good ones take turns."""
        first = targets[0]
        if self.selector.strategy == "pin":
            return first
        states = [(target, state(target.model_id)) for target in targets]
        if self.selector.strategy == "warm":
            for wanted in (ModelState.READY, ModelState.STARTING):
                found = next((target for target, now in states if now is wanted), None)
                if found is not None:
                    return found
            return first
        running = [target for target, now in states if now in (ModelState.READY, ModelState.STARTING)]
        free = [target for target in running if busy(target.model_id) < self.selector.settings.spillover]
        if free:
            return _least_busy(free, busy, turn)
        cold = next((target for target, now in states if now is ModelState.STOPPED), None)
        return cold or _least_busy(running or list(targets), busy, turn)


def _least_busy(targets: list[Target], busy: Callable[[str], int], turn: int) -> Target:
    least = min(busy(target.model_id) for target in targets)
    equal = [target for target in targets if busy(target.model_id) == least]
    return equal[turn % len(equal)]


@dataclass(frozen=True, slots=True)
class Targets:
    """All that a configuration means to the gateway."""

    by_name: Mapping[str, Target]
    ignored_upstream_paths: tuple[Regex, ...]
    choices: Mapping[str, Choice]
    """The selectors, by name."""
    pinned: Mapping[str, Target]
    """What pins of profiles stand for, and what is taken for lack of a name, by its name; selectors aside."""
    pins: Mapping[str, Mapping[str, str | None]]
    """Of each profile: which name stands for which other, or (None) for nothing."""
    others: UnknownNames
    """What answers a name that is none of these."""
    shared: Mapping[str, Mapping[str, Target]]
    """The names that several machines have, each with its targets by the ids of their models."""
    away: Mapping[str, tuple[str, ...]]
    """Selectors, and what pins stand for, that lead only to machines that are not there: what they name.

    Under no name at all: the default model.
    """

    def why_not(self, name: str) -> str:
        """Return why a name that the configuration mentions is not known; empty for others."""
        profiles = [repr(profile) for profile, pins in self.pins.items() if name in pins]
        return f"it is a pin of profile {' and '.join(profiles)}, which is not active" if profiles else ""


def targets_of(config: Config) -> Targets:
    """Work out the targets of a configuration: every model under its id and each of its aliases."""
    by_name: dict[str, Target] = {}
    for model in config.models.values():
        peer_id = config.peer_of(model.id)
        own_lines = None if peer_id is None else _own_lines(config.peers[peer_id])
        peer = config.peers[peer_id] if peer_id is not None else PeerConfig()
        node = peer_id if peer_id is not None and peer.follows else ""
        for name in (model.id, *model.plain_aliases, *model.filters.set_params_by_id):
            if config.resolve(name) in (model.id, None):
                by_name[name] = _target(model, name, own_lines, config.priorities.get(model.id, 0), node=node)
                by_name[name].fingerprint, by_name[name].peer = peer.fingerprint, peer_id or ""
                by_name[name].is_spread = is_spread(model)
    shared = _shared(config, by_name)
    ignored = tuple(Regex(pattern) for pattern in config.upstream.ignore_paths)
    choices = {}
    for name, selector in config.selectors.items():
        targets = tuple(_named(by_name[target], target, name) for target in selector.targets if target in by_name)
        if selector.strategy != "pin" and any(target.node for target in targets):
            targets = tuple(replace(target, moves=True) for target in targets)
        if targets and name not in by_name:
            choices[name] = Choice(selector, targets)
    pins = {name: {pin: to or None for pin, to in profile.pins.items()} for name, profile in config.profiles.items()}
    stood_for = {to for profile in pins.values() for to in profile.values() if to in by_name}
    others = unknown_names(config, by_name.keys() | choices.keys())
    stood_for.add(others.default)
    pinned = {name: _named(by_name[name], name) for name in stood_for if name in by_name}
    away = _away(config, by_name.keys() | choices.keys())
    return Targets(by_name, ignored, choices, pinned, pins, others, shared, away)


def _away(config: Config, known: Container[str]) -> dict[str, tuple[str, ...]]:
    """Return what leads only to machines that are not there, as `Targets` has it; `known` are names that lead on."""
    found = {name: selector.targets for name, selector in config.selectors.items()}
    found |= {to: (to,) for profile in config.profiles.values() for to in profile.pins.values() if to and "/" in to}
    if config.default_model and config.default_model not in known:
        found[""] = found.get(config.default_model, (config.default_model,))
    return {name: targets for name, targets in found.items() if name not in known}


def _shared(config: Config, by_name: dict[str, Target]) -> dict[str, dict[str, Target]]:
    """Return the targets of names that several machines have; `by_name` is marked where it is one of them."""
    found: dict[str, dict[str, Target]] = {}
    for name, ids in shared_names(config).items():
        found[name] = {
            id_: replace(
                by_name[name if name in by_name and by_name[name].model_id == id_ else id_], shared=name, moves=True
            )
            for id_ in ids
        }
        if name in by_name:
            by_name[name] = found[name][by_name[name].model_id]
    return found


def _named(target: Target, name: str, selector: str = "") -> Target:
    """Return a target whose requests are to say `name`, unless its server is told another name anyway."""
    written = target.use_model_name or name
    if selector:  # its targets are meant as they are named, each on its own machine
        return replace(target, use_model_name=written, selector=selector, shared="", moves=False)
    return replace(target, use_model_name=written)


def _own_lines(peer: PeerConfig) -> tuple[bytes, ...]:
    key = (peer.api_key or "").strip().encode()
    if not key:
        return ()
    return (b"Authorization: Bearer " + key, b"x-api-key: " + key)


@lru_cache(maxsize=64)  # nearly all models have the same
def _address(proxy: str) -> tuple[bytes, bytes, str]:
    """Return base path, Host and name on the certificate, as `Target` has them."""
    # A `proxy` still holding ${PORT} is our own child; its port is not known yet and does not matter here.
    external = "${" not in proxy
    url = urlsplit(proxy.replace("${PORT}", "1").replace("${SOCKET}", ""))
    local = is_this_host(url.hostname or "localhost")
    return (
        url.path.rstrip("/").encode(),
        url.netloc.rpartition("@")[2].encode() if external and not local else b"",
        (url.hostname or "") if url.scheme == "https" else "",
    )


def _target(
    model: ModelConfig, name: str, own_lines: tuple[bytes, ...] | None, priority: int, *, node: str = ""
) -> Target:
    base_path, host, tls_host = _address(model.proxy)
    set_params = {**model.filters.set_params, **model.filters.set_params_by_id.get(name, {})}
    return Target(
        model_id=model.id,
        base_path=base_path,
        host=host,
        tls_host=tls_host,
        fingerprint="",
        use_model_name=model.use_model_name or "",
        strip_params=tuple(key for key in model.filters.strip_params if key != "model"),
        set_params={key: value for key, value in set_params.items() if key != "model"},
        send_loading_state=bool(model.send_loading_state),
        ignore_websockets=model.compat.ignore_websockets,
        connect_timeout_seconds=model.timeouts.connect_seconds,
        response_head_timeout_seconds=model.timeouts.response_header_seconds,
        health_path=path if (path := model.check_endpoint.encode()).startswith(b"/") else b"/",
        unlisted=model.unlisted,
        own_lines=own_lines,
        priority=priority,
        node=node,
    )
