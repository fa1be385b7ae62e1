"""Do matrix, profiles, selectors and peers fit the models?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from urllib.parse import urlsplit

from claracore.core.cluster.place import LOCAL
from claracore.core.config.command import LATE
from claracore.core.config.expansions import allows
from claracore.core.config.matrix import BadExpression, Expression, read_sets
from claracore.core.config.model import Config
from claracore.core.config.not_here import no_machine, report_missing
from claracore.core.config.peers import bare_names
from claracore.core.config.report import Hints, NodePath, Say
from claracore.core.config.routing import ALL, GroupConfig, MatrixConfig, PeerConfig, Selector, Sharing, WakeConfig

NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f]")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
VARIABLE = re.compile(r"[A-Za-z0-9.-]{1,32}")
NAME_IT = "use the id of a model"
NO_NAME = "found a name that is empty"
FOLLOW_IT = "give the peer `models: auto`, or use strategy: pin"
FINGERPRINT = re.compile(r"(?i)\s*(sha256:)?[0-9a-f]{2}(:?[0-9a-f]{2}){31}\s*")
MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
MOST_WEIGHED = 10
"""Targets of a selector for which it is worked out whether a set allows them all: each more doubles the work."""


def check_matrix(
    matrix: MatrixConfig, path: NodePath, names: Mapping[str, str], config: Config, error: Say, *, hints: Hints
) -> None:
    """Report variables, costs and sets that name no model, and expressions that cannot be read."""
    for name, model_id in matrix.variables.items():
        key_path = (*path, "vars", name)
        if not VARIABLE.fullmatch(name):
            error(key_path, f"{name[:80]!r} cannot be a variable", "use letters, digits, dot and dash, at most 32")
        if model_id not in config.models:
            real = names.get(model_id)
            message = f"there is no model {model_id!r}" if real is None else f"{model_id!r} is an alias"
            error(key_path, message, hints.nearest(model_id, config.models) if real is None else f"write {real!r}")
    for name, cost in matrix.evict_costs.items():
        if name not in matrix.variables and name not in config.models:
            way_out = hints.nearest(name, [*matrix.variables, *config.models]) or NAME_IT
            error((*path, "evict_costs", name), f"{name!r} is neither in vars nor a model id", way_out)
        if cost <= 0:
            error((*path, "evict_costs", name), f"found {cost}", "expected at least 1")
    if not matrix.sets:
        error(path, "the matrix has no sets", "add lines such as `chat: a & b` under `sets`")
    for name, result in read_sets(matrix.sets, matrix.variables, config.models).items():
        if isinstance(result, BadExpression):
            error((*path, "sets", name), str(result), "write e.g. `a & (b | c)`")


def check_address(proxy: str, path: NodePath, say: Say) -> None:
    """Report when `proxy` is not an http or https URL with a host."""
    try:
        parts = urlsplit(LATE.sub("1", proxy))
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        fits = fits and NOT_IN_URLS.search(proxy) is None
    except ValueError:
        fits = False
    if not fits:
        say(path, f"found {proxy[:60]!r}", "expected a URL such as http://127.0.0.1:9000")


def check_peers(config: Config, names: Mapping[str, str], error: Say) -> None:
    """Report peers without address or models, and names that are taken."""
    owners: dict[str, str] = {}
    for peer_id, peer in config.peers.items():
        path: NodePath = ("peers", peer_id)
        if not peer_id.strip():
            error(path, NO_NAME, "write a name before the colon")
        if peer.api_key and UNPRINTABLE.search(peer.api_key.strip()):
            error((*path, "apiKey"), "the key has a line break or a control character in it", "write it on one line")
        if peer.proxy:
            check_address(peer.proxy, (*path, "proxy"), error)
        else:
            error((*path, "proxy"), "found nothing", "expected the base URL of the peer, e.g. http://10.0.0.2:5800")
        if not peer.models:
            error((*path, "models"), "found no models", "expected at least one, or `auto`")
        if peer.fingerprint:
            _check_fingerprint(peer, (*path, "fingerprint"), error)
        if peer.wake is not None:
            _check_wake(peer, peer.wake, (*path, "wake"), error)
        for index, model in enumerate(peer.names):
            full = f"{peer_id}/{model}"
            if not model.strip():
                error((*path, "models", index), NO_NAME, "remove it")
            elif full in names:
                error((*path, "models", index), f"{full} already names a model here", "rename the peer")
            elif owners.setdefault(full, peer_id) != peer_id:
                error((*path, "models", index), f"{full} is also a model of peer {owners[full]!r}", "rename a peer")


def _check_fingerprint(peer: PeerConfig, path: NodePath, error: Say) -> None:
    if not FINGERPRINT.fullmatch(peer.fingerprint):
        error(path, f"found {peer.fingerprint[:70]!r}", "expected a SHA-256: 64 hex digits, with or without colons")
    elif not peer.proxy.startswith("https:"):
        error(path, "only a server that is reached by https has a certificate", "write https:// in proxy")


def _check_wake(peer: PeerConfig, wake: WakeConfig, path: NodePath, error: Say) -> None:
    if not peer.follows:
        error(path, "only a peer with `models: auto` is woken", "write `models: auto`")
    if not MAC.fullmatch(wake.mac):
        error((*path, "mac"), f"found {wake.mac[:40]!r}", "expected a hardware address such as aa:bb:cc:dd:ee:ff")
    if not IPV4.fullmatch(wake.broadcast):
        error((*path, "broadcast"), f"found {wake.broadcast[:40]!r}", "expected an IPv4 address")


def check_placement(config: Config, error: Say, warn: Say, *, hints: Hints) -> None:
    """Report names that are no machine of the file, and a peer that has the name of this one.

    A machine that has joined may be meant, of which the file knows nothing.
    """
    followed = [peer_id for peer_id, peer in config.peers.items() if peer.follows]
    if LOCAL in followed:
        error(("peers", LOCAL), f"{LOCAL!r} is what this machine is called", "rename the peer")
    for key, names in (("prefer", config.placement.prefer), ("avoid", config.placement.avoid)):
        for index, name in enumerate(names):
            if name != LOCAL and name not in followed:
                way_out = hints.nearest(name, [*followed, LOCAL]) or "name a peer with `models: auto`, or `local`"
                warn(("placement", key, index), no_machine(name), way_out)
    _check_sharing(config.placement, ("placement", "nodes"), followed, warn, hints=hints)
    for model in config.models.values():
        if model.placement.nodes != config.placement.nodes:
            _check_sharing(model.placement, ("models", model.id, "placement", "nodes"), followed, warn, hints=hints)


def _check_sharing(sharing: Sharing, path: NodePath, followed: Sequence[str], warn: Say, *, hints: Hints) -> None:
    for index, name in enumerate(sharing.nodes if sharing.nodes != ALL else ()):
        if name == LOCAL:
            warn((*path, index), f"{LOCAL!r} is this machine, which has the model in any case", "leave it out")
        elif name not in followed:
            way_out = hints.nearest(name, followed) or "name a machine as `claracore nodes` lists it, or say `all`"
            warn((*path, index), no_machine(name), way_out)


def peer_names(config: Config) -> dict[str, str]:
    """Return the names under which models of peers can be called, and what they mean.

    They are `peer/model`, and `model` if only one has it; both mean `peer/model`.
    """
    full = (f"{peer_id}/{model}" for peer_id, peer in config.peers.items() for model in peer.names)
    return {**bare_names(config), **{name: name for name in full}}


def check_profiles(config: Config, names: Mapping[str, str], error: Say, warn: Say, *, hints: Hints) -> None:
    """Report profiles without pins, pins that hide a peer's model, and pins to what does not exist."""
    peers = peer_names(config)
    known = {*names, *config.selectors, *peers}
    for name, profile in config.profiles.items():
        if not name.strip():
            error(("profiles", name), NO_NAME, "write a name before the colon")
        if not profile.pins:
            error(("profiles", name), "the profile has no pins", "add lines such as `gpt-4: my-model` under `pins`")
        for pin, target in profile.pins.items():
            if not pin.strip():
                error(("profiles", name, "pins", pin), NO_NAME, "write a name before the colon")
            elif peers.get(pin) == pin:
                error(("profiles", name, "pins", pin), f"{pin!r} is a peer's model", "choose another name")
            elif target and target not in known and not config.is_followed(target):
                way_out = hints.nearest(target, known) or "name a model, alias, peer model or selector"
                pin_path: NodePath = ("profiles", name, "pins", pin)
                report_missing(config, target, pin_path, known, error=error, warn=warn, way_out=way_out)


def check_selectors(
    config: Config, names: Mapping[str, str], groups: Mapping[str, GroupConfig], error: Say, warn: Say, *, hints: Hints
) -> None:
    """Report selectors that hide a name, and targets that do not exist or cannot work with the strategy."""
    peers = peer_names(config)
    meant = {**peers, **names}
    together = _Together(config, groups)
    for name, selector in config.selectors.items():
        path: NodePath = ("selectors", name)
        if not name.strip():
            error(path, NO_NAME, "write a name before the colon")
        elif name in meant:
            error(path, f"{name!r} already names a model", "choose another name")
        if not selector.targets:
            error((*path, "targets"), "found no targets", "expected at least one model")
        for index, target in enumerate(selector.targets):
            key_path = (*path, "targets", index)
            if target in config.selectors and target not in names:
                error(key_path, f"{target!r} is a selector itself", NAME_IT)
            elif config.is_followed(target):
                continue
            elif target not in meant:
                way_out = hints.nearest(target, meant) or NAME_IT
                report_missing(config, target, key_path, meant, error=error, warn=warn, way_out=way_out)
            elif selector.strategy == "warm" and target not in names:
                error(key_path, f"{target!r} is a peer's model; `warm` has to see whether it is loaded", FOLLOW_IT)
        if selector.strategy == "spillover":
            _check_spillover(selector, path, meant, error)
            local = [names[target] for target in selector.targets if target in names]
            if len(set(local)) > 1 and not together.may_run(local):
                message = "the local targets of spillover can never run together"
                way_out = "put them in one group with swap: false, or in one set of the matrix"
                error((*path, "targets"), message, way_out)


def _check_spillover(selector: Selector, path: NodePath, meant: Mapping[str, str], error: Say) -> None:
    """Report a model that is a target twice, be it by an alias: its requests would be counted twice."""
    first: dict[str, str] = {}
    for index, target in enumerate(selector.targets):
        model_id = meant.get(target)
        if model_id is not None and first.setdefault(model_id, target) != target:
            error((*path, "targets", index), f"{target!r} and {first[model_id]!r} are the same model", "keep one")
        elif target in selector.targets[:index]:
            error((*path, "targets", index), f"{target!r} is here twice", "keep one")


class _Together:
    """Which models may run at the same time, worked out once for all selectors."""

    def __init__(self, config: Config, groups: Mapping[str, GroupConfig]) -> None:
        self._groups = groups
        self._homes = {member: name for name, group in groups.items() for member in group.members}
        self._any = config.routing.router.use == "memory"
        self._matrix = config.matrix if config.routing.router.use == "matrix" else None
        self._models = config.models

    def may_run(self, model_ids: list[str]) -> bool:
        """Return whether the matrix, a group or memory lets all of these models run at the same time."""
        if self._any:
            return True
        if self._matrix is not None:
            wanted = frozenset(model_ids)
            return len(wanted) > MOST_WEIGHED or any(allows(found, wanted) for found in self._sets)
        homes = {self._homes[model_id] for model_id in model_ids if model_id in self._homes}
        return len(homes) == 1 and not self._groups[homes.pop()].swap

    @cached_property
    def _sets(self) -> list[Expression]:
        if self._matrix is None:
            return []
        sets = read_sets(self._matrix.sets, self._matrix.variables, self._models)
        return [found for found in sets.values() if not isinstance(found, BadExpression)]
