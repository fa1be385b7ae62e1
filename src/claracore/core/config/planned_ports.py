"""What do names and filters say where they use ${PORT}?

A command gets its port when it starts. What requests and people see of a model is known before, so there the planned
port stands: where the model starts unless something else has taken that port.
"""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.config.command import LATE, in_place
from claracore.core.config.model import Config, Filters, ModelConfig

PLANNED = ("name", "description", "use_model_name", "aliases", "filters")


def with_planned_ports(config: Config, planned: Mapping[str, int]) -> Config:
    """Return the configuration with the ports (by model id) in place of ${PORT} in the fields `PLANNED`."""
    changed = {
        model_id: _with_port(model, port)
        for model_id, port in planned.items()
        if (model := config.models.get(model_id)) is not None and mentions_late(model)
    }
    if not changed:
        return config
    found = config.model_copy(update={"models": {**config.models, **changed}})
    found.model_post_init(None)
    return found


def mentions_late(model: ModelConfig) -> list[str]:
    """Return which of the fields `PLANNED` use ${PORT} or ${SOCKET}."""
    return [name for name in PLANNED if LATE.search(str(getattr(model, name)))]


def _with_port(model: ModelConfig, port: int) -> ModelConfig:
    def text(written: str) -> str:
        return str(in_place(written, port=port))

    filters = model.filters
    return model.model_copy(
        update={
            "name": text(model.name),
            "description": text(model.description),
            "use_model_name": None if model.use_model_name is None else text(model.use_model_name),
            "aliases": tuple(text(alias) for alias in model.aliases),
            "filters": Filters(
                strip_params=tuple(text(key) for key in filters.strip_params),
                set_params=in_place(filters.set_params, port=port),
                set_params_by_id={
                    text(name): in_place(values, port=port) for name, values in filters.set_params_by_id.items()
                },
            ),
        }
    )
