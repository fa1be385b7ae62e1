"""Which models do the peers bring, as what?

Pure. What a peer with `models: auto` has is found while ClaraCore runs, and put into the configuration by `with_found`.
A model of a peer is served like one whose server somebody else runs: it has a `proxy` and no command. So the
scheduler, activity, metrics and lists know it without knowing of peers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from claracore.core.config.model import Config, Filters, ModelConfig
from claracore.core.config.own_names import is_own_name
from claracore.core.config.patterns import ANY
from claracore.core.config.routing import PeerConfig
from claracore.core.config.timeouts import Timeouts


def bare_names(config: Config) -> dict[str, str]:
    """Return the short names of peers' models (`model` for `peer/model`) that only one peer has and nothing here."""
    counted = Counter(model for peer in config.peers.values() for model in set(peer.names))
    return {
        model: f"{peer_id}/{model}"
        for peer_id, peer in config.peers.items()
        for model in peer.names
        if counted[model] == 1 and config.resolve(model) is None and model not in config.selectors
    }


def shared_names(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the names that are to be answered where it is best, each with the ids of its models, ours first.

    They are those of models that at least two machines have, of which this is one at the most and the others are peers
    that are followed: peers with a list of models are called by name, as ever.
    """
    found: dict[str, list[str]] = {}
    for peer_id, peer in config.peers.items():
        for model in dict.fromkeys(peer.names) if peer.follows else ():
            found.setdefault(model, []).append(f"{peer_id}/{model}")
    shared = {}
    for name, ids in found.items():
        ours = config.resolve(name)
        places = ids if ours is None or config.peer_of(ours) is not None else [ours, *ids]
        if len(places) > 1 and name not in config.selectors:
            shared[name] = tuple(places)
    return {**_other_names(config, shared), **shared}


def _other_names(config: Config, shared: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the aliases of models that this machine has given to others, where the model is to be had.

    An alias with parameters of its own (`setParamsByID`) stays this machine's: a server is told the model's name.
    """
    return {
        alias: shared[model.id]
        for model in config.models.values()
        if model.placement.nodes and model.id in shared
        for alias in model.plain_aliases
        if alias not in model.filters.set_params_by_id and config.resolve(alias) == model.id
    }


def follows_any(config: Config) -> bool:
    """Whether a peer is followed."""
    return any(peer.follows for peer in config.peers.values())


def with_found(config: Config, found: Mapping[str, tuple[str, ...]]) -> Config:
    """Return the configuration with what was found at each peer that is followed, by the peer's id.

    A model whose full name is one of ours is left out: a name of this machine's own never becomes another's.
    """
    if not follows_any(config):
        return config
    peers = {
        id_: peer.model_copy(update={"found": _nameable(config, id_, found.get(id_, ()))}) if peer.follows else peer
        for id_, peer in config.peers.items()
    }
    changed = config.model_copy(update={"peers": peers})
    changed.model_post_init(None)
    return changed


def _nameable(config: Config, peer_id: str, models: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(model for model in models if not is_own_name(config, f"{peer_id}/{model}"))


def anything_of(peer_id: str) -> str:
    """Return the id under which a peer is asked for names that nobody here knows."""
    return f"{peer_id}/{ANY}"


def with_peers(config: Config) -> Config:
    """Return the configuration with the models of its peers among the models, each in the group `(peers)`.

    The peer that is asked for unknown names has one more, which nobody sees listed and whose name is not rewritten.
    """
    if not config.peers:
        return config
    short = {full: bare for bare, full in bare_names(config).items()}
    made = {
        (full := f"{peer_id}/{model}"): _model(peer_id, peer, model, short.get(full))
        for peer_id, peer in config.peers.items()
        for model in peer.names
    }
    other = config.peers.get(config.unknown_model)
    if other is not None:
        id_ = anything_of(config.unknown_model)
        made[id_] = _model(config.unknown_model, other, ANY, None).model_copy(
            update={"use_model_name": None, "unlisted": True}
        )
    found = config.model_copy(update={"models": {**config.models, **made}})
    found.model_post_init(None)
    return found


def _model(peer_id: str, peer: PeerConfig, model: str, bare: str | None) -> ModelConfig:
    full = f"{peer_id}/{model}"
    names = (full,) if bare is None else (full, bare)
    filters, timeouts = peer.filters, peer.timeouts
    # Over there a request may wait for its turn and for a load: by itself that is no reason to give up.
    patient = peer.follows and "response_header_seconds" not in timeouts.model_fields_set
    by_id = {name: params for name, params in filters.set_params_by_id.items() if name in names}
    return ModelConfig(
        id=full,
        name=f"{peer_id}: {model}",
        proxy=peer.proxy,
        check_endpoint="none",
        aliases=names[1:],
        use_model_name=model,
        filters=Filters(strip_params=filters.strip_params, set_params=filters.set_params, set_params_by_id=by_id),
        timeouts=Timeouts(
            connect_seconds=timeouts.connect_seconds,
            response_header_seconds=None if patient else timeouts.response_header_seconds,
        ),
    )
