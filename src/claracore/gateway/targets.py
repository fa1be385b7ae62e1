"""What does the gateway need to know about each model name, worked out once per configuration?

Pure: `Config` -> `Targets`. A request then costs one dictionary look-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from claracore.config.model import Config, ModelConfig

if TYPE_CHECKING:
    from claracore.gateway.pool import Line
    from claracore.store.keyring import Grant


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
    response_head_timeout_seconds: float
    unlisted: bool
    """Not to be mentioned."""
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
    not_yet: Mapping[str, str]
    """Names that the configuration declares and that nothing answers to yet, with the reason."""


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
        for name in (model.id, *model.aliases, *model.filters.set_params_by_id):
            if config.resolve(name) in (model.id, None):
                by_name[name] = _target(model, name)
    ignored = tuple(re.compile(pattern) for pattern in config.upstream.ignore_paths)
    return Targets(by_name, ignored, _not_yet(config))


def _not_yet(config: Config) -> dict[str, str]:
    names = dict.fromkeys(config.selectors, "it is a selector, and selectors are not supported yet")
    for peer_id, peer in config.peers.items():
        for model in peer.models:
            reason = f"it is a model of peer {peer_id!r}, and peers are not supported yet"
            names |= {f"{peer_id}/{model}": reason, model: reason}
    for profile_id, profile in config.profiles.items():
        for name in profile.pins:
            names.setdefault(name, f"it is a pin of profile {profile_id!r}, and profiles are not supported yet")
    return names


def _target(model: ModelConfig, name: str) -> Target:
    # A `proxy` still holding ${PORT} is our own child; its port is not known yet and does not matter here.
    external = "${" not in model.proxy
    url = urlsplit(model.proxy.replace("${PORT}", "1").replace("${SOCKET}", ""))
    local = url.hostname in ("localhost", "127.0.0.1", "::1", None)
    set_params = {**model.filters.set_params, **model.filters.set_params_by_id.get(name, {})}
    return Target(
        model_id=model.id,
        base_path=url.path.rstrip("/").encode(),
        host=url.netloc.rpartition("@")[2].encode() if external and not local else b"",
        tls_host=(url.hostname or "") if url.scheme == "https" else "",
        use_model_name=model.use_model_name or "",
        strip_params=tuple(key for key in model.filters.strip_params if key != "model"),
        set_params={key: value for key, value in set_params.items() if key != "model"},
        send_loading_state=bool(model.send_loading_state),
        ignore_websockets=model.compat.ignore_websockets,
        connect_timeout_seconds=model.timeouts.connect_seconds,
        response_head_timeout_seconds=model.timeouts.response_header_seconds,
        unlisted=model.unlisted,
    )
