"""Do names that no model has lead somewhere?"""

from __future__ import annotations

from collections.abc import Collection

from claracore.core.cluster.invitation import is_node_name
from claracore.core.config.model import DEFAULT, REJECT, Config
from claracore.core.config.not_here import no_machine, report_missing
from claracore.core.config.report import Hints, Say


def check_unknown_names(config: Config, known: Collection[str], error: Say, warn: Say, *, hints: Hints) -> None:
    """Report a default model that is none, and a place for unknown names that is none.

    `known` are all names that may be called: of models, aliases, models of peers and selectors.
    """
    default, unknown = config.default_model, config.unknown_model
    if default is not None and default not in known and not config.is_followed(default):
        way_out = hints.nearest(default, known) or "name a model, alias, peer model or selector"
        report_missing(config, default, ("default_model",), known, error=error, warn=warn, way_out=way_out)
    if unknown == DEFAULT and default is None:
        error(("unknown_model",), "there is no default_model", "add it")
    elif unknown not in {REJECT, DEFAULT} and unknown not in config.peers:
        way_out = hints.nearest(unknown, [REJECT, DEFAULT, *config.peers]) or f"use {REJECT}, {DEFAULT} or a peer"
        if is_node_name(unknown):
            warn(("unknown_model",), no_machine(unknown), way_out)
        else:
            error(("unknown_model",), f"there is no peer {unknown[:60]!r}", way_out)
