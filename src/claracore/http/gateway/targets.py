"""What does the gateway know about each model name, and which model does a name mean at this moment?

Pure, but for the name of the active profile, which an API call sets. `Config` -> `Targets` is worked out once per
configuration; a request then costs one dictionary look-up. A name may stand for another: under the active profile for
its pin, as a selector for the target that is best now. Strategies of selectors as llama-swap has them: `pin` is the
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
from claracore.core.config.regex import Regex
from claracore.core.config.routing import Selector
from claracore.core.config.tags import other_spelling
from claracore.core.ports.address import is_this_host
from claracore.errors import BadRequest, ModelNotFound
from claracore.http.gateway.unknown_names import UnknownNames, unknown_names
from claracore.types import ModelState

if TYPE_CHECKING:
    from claracore.core.config.routing import PeerConfig
    from claracore.http.access.keys import Grant
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

    def why_not(self, name: str) -> str:
        """Return why a name that the configuration mentions is not known; empty for others."""
        profiles = [repr(profile) for profile, pins in self.pins.items() if name in pins]
        return f"it is a pin of profile {' and '.join(profiles)}, which is not active" if profiles else ""


def names_for(grant: Grant | None, targets: Targets) -> list[str]:
    """Return the names that an error may mention: those that are listed, of models that the key is for."""
    return [
        name
        for name, target in targets.by_name.items()
        if not target.unlisted and (grant is None or grant.knows(target.model_id))
    ]


def targets_of(config: Config) -> Targets:
    """Work out the targets of a configuration: every model under its id and each of its aliases."""
    by_name: dict[str, Target] = {}
    for model in config.models.values():
        peer_id = config.peer_of(model.id)
        own_lines = None if peer_id is None else _own_lines(config.peers[peer_id])
        for name in (model.id, *model.plain_aliases, *model.filters.set_params_by_id):
            if config.resolve(name) in (model.id, None):
                by_name[name] = _target(model, name, own_lines, config.priorities.get(model.id, 0))
    ignored = tuple(Regex(pattern) for pattern in config.upstream.ignore_paths)
    choices = {}
    for name, selector in config.selectors.items():
        targets = tuple(_named(by_name[target], target, name) for target in selector.targets if target in by_name)
        if targets and name not in by_name:
            choices[name] = Choice(selector, targets)
    pins = {name: {pin: to or None for pin, to in profile.pins.items()} for name, profile in config.profiles.items()}
    stood_for = {to for profile in pins.values() for to in profile.values() if to in by_name}
    others = unknown_names(config, by_name.keys() | choices.keys())
    stood_for.add(others.default)
    pinned = {name: _named(by_name[name], name) for name in stood_for if name in by_name}
    return Targets(by_name, ignored, choices, pinned, pins, others)


def _named(target: Target, name: str, selector: str = "") -> Target:
    """Return a target whose requests are to say `name`, unless its server is told another name anyway."""
    return replace(target, use_model_name=target.use_model_name or name, selector=selector)


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


def _target(model: ModelConfig, name: str, own_lines: tuple[bytes, ...] | None, priority: int) -> Target:
    base_path, host, tls_host = _address(model.proxy)
    set_params = {**model.filters.set_params, **model.filters.set_params_by_id.get(name, {})}
    return Target(
        model_id=model.id,
        base_path=base_path,
        host=host,
        tls_host=tls_host,
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
    )


class Resolver:
    """Which target does a name mean at this moment?"""

    def __init__(
        self,
        config: Config,
        profile: ActiveProfile,
        state: Callable[[str], ModelState],
        busy: Callable[[str], int],
    ) -> None:
        """Take what tells the state of a model's server, and how many requests a model has, waiting ones too."""
        self.targets = targets_of(config)
        self._profile = profile
        self._state = state
        self._busy = busy
        self._turn = 0

    def reconfigure(self, config: Config) -> None:
        """Use another configuration from now on."""
        self.targets = targets_of(config)
        if self._profile.name not in self.targets.pins:
            self._profile.name = None

    def find(self, name: str, grant: Grant | None) -> Target:
        """Return the target that a request names, or that is for all who name none or another.

        Raises `ModelNotFound`, and `BadRequest` when it names none.
        """
        meant = name if self._profile.name is None else self.meaning(name)
        found = self._known(name, meant, grant)
        if found is None and (other := other_spelling(name)):
            found = self._known(other, self.meaning(other), grant)
        return found if found is not None else self._found_for_others(name, meant, grant)

    def _known(self, name: str, meant: str, grant: Grant | None) -> Target | None:
        """Return the target of a name that the configuration has, and what it stands for; None for another."""
        targets = self.targets
        found = (targets.by_name if meant == name else targets.pinned).get(meant)
        return found if found is not None else self._chosen(meant, grant)

    def _chosen(self, name: str, grant: Grant | None) -> Target | None:
        """Return the best target of a selector; None when there is no selector of that name."""
        choice = self.targets.choices.get(name)
        if choice is None:
            return None
        self._turn += 1
        allowed = [each for each in choice.targets if grant is None or grant.knows(each.model_id)]
        return choice.choose(allowed or choice.targets, self._state, self._busy, self._turn)

    def _found_for_others(self, name: str, meant: str, grant: Grant | None) -> Target:
        """Return the target of a name that nothing has, or of no name. Raises what `find` raises."""
        targets = self.targets
        fitting = targets.others.fitting(meant)
        other = self.meaning(fitting or targets.others.instead_of(meant))
        written = None if other == fitting else targets.pinned.get(other)
        found = written or targets.by_name.get(other) or self._chosen(other, grant)
        if found is not None:
            return found
        if not name:
            raise BadRequest("the request names no model: 'model' is required", param="model")
        raise ModelNotFound(name, names_for(grant, targets), targets.why_not(name))

    def meaning(self, name: str) -> str:
        """Return what a name stands for under the active profile. Raises `ModelNotFound` for a name that it hides."""
        profile = self._profile.name
        pins = self._pins()
        if name not in pins:
            return name
        meant = pins[name]
        if meant is None:
            raise ModelNotFound(name, (), f"the active profile {profile!r} hides it")
        return meant

    def names(self) -> Container[str]:
        """Return every name that has a server, or stands for one under the active profile."""
        pins = self._pins()
        return self.targets.by_name.keys() | pins.keys() if pins else self.targets.by_name

    def _pins(self) -> Mapping[str, str | None]:
        name = self._profile.name
        return {} if name is None else self.targets.pins.get(name, {})
