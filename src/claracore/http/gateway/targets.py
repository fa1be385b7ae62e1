"""What does the gateway need to know about each model name, worked out once per configuration?

Pure: `Config` -> `Targets`. A request then costs one dictionary look-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from claracore.core.config.model import Config, ModelConfig
from claracore.core.ports.address import is_this_host
from claracore.http.gateway.selection import Choice

if TYPE_CHECKING:
    from claracore.core.config.routing import PeerConfig
    from claracore.http.access.keys import Grant
    from claracore.http.gateway.pool import Line


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
    """None: as long as it lives (`patience`)."""
    health_path: bytes
    """Where any answer is a sign of life."""
    unlisted: bool
    """Not to be mentioned."""
    own_lines: tuple[bytes, ...] | None
    """Of a peer: header lines with its key. A peer is told nothing of who asked here, neither key nor address."""
    edits: bool = field(init=False)
    """Whether request bodies are changed on their way."""
    line: Line | None = None
    """To where the model is now; what the gateway found there last."""

    def __post_init__(self) -> None:
        self.edits = bool(self.use_model_name or self.strip_params or self.set_params)


@dataclass(frozen=True, slots=True)
class Targets:
    """All that a configuration means to the gateway."""

    by_name: Mapping[str, Target]
    ignored_upstream_paths: tuple[re.Pattern[str], ...]
    choices: Mapping[str, Choice]
    """The selectors, by name."""
    pins: Mapping[str, Mapping[str, str | None]]
    """Of each profile: which name stands for which other, or (None) for nothing."""

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
        for name in (model.id, *model.aliases, *model.filters.set_params_by_id):
            if config.resolve(name) in (model.id, None):
                by_name[name] = _target(model, name, own_lines)
    ignored = tuple(re.compile(pattern) for pattern in config.upstream.ignore_paths)
    choices = {}
    for name, selector in config.selectors.items():
        targets = tuple(by_name[target] for target in selector.targets if target in by_name)
        if targets and name not in by_name:
            choices[name] = Choice(selector, targets)
    pins = {name: {pin: to or None for pin, to in profile.pins.items()} for name, profile in config.profiles.items()}
    return Targets(by_name, ignored, choices, pins)


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


def _target(model: ModelConfig, name: str, own_lines: tuple[bytes, ...] | None) -> Target:
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
    )
