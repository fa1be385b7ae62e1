"""What answers a name that no model has, or a request without one?

Pure. The pattern that fits best (`aliases: ["claude-*"]`), else what `unknown_model` says: nothing, the default model,
or a peer, which is asked for it by the same name. Only asked when a look-up has found nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from claracore.core.config.model import DEFAULT, Config
from claracore.core.config.patterns import best_first, compiled, is_pattern
from claracore.core.config.peers import anything_of


@dataclass(frozen=True, slots=True)
class UnknownNames:
    """All that a configuration says about names that it does not have."""

    default: str
    """The name to take when a request has none; empty: that is an error."""
    unknown: str
    """The name to take instead of any other; empty: that is an error."""
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    """Each with the id of its model, in the order in which they are tried."""

    def fitting(self, name: str) -> str:
        """Return the id of the model whose pattern fits a name; empty when none does."""
        if not name:
            return ""
        return next((model_id for pattern, model_id in self.patterns if pattern.fullmatch(name) is not None), "")

    def instead_of(self, name: str) -> str:
        """Return the name to take instead of one that nothing has, or of none; empty when that is an error."""
        return self.unknown if name else self.default


def unknown_names(config: Config, known: Container[str]) -> UnknownNames:
    """Work it out; `known` are the names that can be looked up: what leads to none of them leads nowhere."""
    owners: Mapping[str, str] = {
        pattern: model.id for model in config.models.values() for pattern in model.aliases if is_pattern(pattern)
    }
    default = config.default_model or ""
    unknown = default if config.unknown_model == DEFAULT else anything_of(config.unknown_model)
    return UnknownNames(
        default=default if default in known else "",
        unknown=unknown if unknown in known else "",
        patterns=tuple((compiled(pattern), owners[pattern]) for pattern in best_first(owners)),
    )
