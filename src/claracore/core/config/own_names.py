"""Which names are this machine's own, whatever other machines have?

Pure. `desk/zb` is the model `zb` of the machine `desk`, unless a model, an alias or a selector here is called so: a
machine that joins must not take a name away. Then its model is not to be had from here, and that is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from claracore.core.config.model import Config
from claracore.types import Finding


def is_own_name(config: Config, name: str) -> bool:
    """Whether a name is a model's, an alias or a selector of this machine itself."""
    model_id = config.resolve(name)
    return name in config.selectors or (model_id is not None and config.peer_of(model_id) is None)


def hidden_models(config: Config, found: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the models of each peer that is followed that `with_found` leaves out; only peers that have such."""
    hidden = {
        id_: tuple(model for model in found.get(id_, ()) if is_own_name(config, _full(id_, model)))
        for id_, peer in config.peers.items()
        if peer.follows
    }
    return {id_: models for id_, models in hidden.items() if models}


def hidden_findings(hidden: Mapping[str, tuple[str, ...]]) -> tuple[Finding, ...]:
    """Return what there is to say of models that are left out because their names are this machine's own."""
    return tuple(
        Finding(
            "warning",
            f"model {model!r} of machine {peer_id!r} is not listed: {_full(peer_id, model)!r} is a name here",
            way_out="give one of them another name",
        )
        for peer_id, models in hidden.items()
        for model in models
    )


def findings_of_names(config: Config, machines: Collection[str]) -> tuple[Finding, ...]:
    """Return what there is to say of own names that a model of one of these machines could have."""
    own = {name: f"models.{model.id}" for model in config.models.values() for name in (model.id, *model.plain_aliases)}
    own |= {name: f"selectors.{name}" for name in config.selectors}
    return tuple(
        Finding(
            "warning",
            f"{name!r} hides a model {name.partition('/')[2]!r} of machine {name.partition('/')[0]!r}, if it has one",
            path,
            way_out="choose a name that does not begin with that of a machine",
        )
        for name, path in own.items()
        if "/" in name and name.partition("/")[0] in machines
    )


def _full(machine: str, model: str) -> str:
    return f"{machine}/{model}"
