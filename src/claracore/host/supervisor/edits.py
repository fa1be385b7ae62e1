"""How does a program change options in the configuration file, so that the text gets no worse?"""

from __future__ import annotations

from collections.abc import Callable

from claracore.core.config.load import load_many
from claracore.core.config.tree import Unreadable
from claracore.errors import ConfigError
from claracore.host.store import files
from claracore.host.supervisor.configuration import Configuration


def careful(configuration: Configuration, change: Callable[[str], str]) -> Callable[[str | None], str]:
    """Return an edit for `Configuration.change`: the text as `change` makes it of what the file says then.

    The edit raises ConfigError for a text that cannot be read, and for what `config check` would call an error and did
    not before.
    """

    def edit(old: str | None) -> str:
        text = old if old is not None else files.read(configuration.sources.one_file())
        try:
            changed = change(text)
        except Unreadable as error:
            raise ConfigError([error.finding]) from error
        _refuse_new_errors(configuration, text, changed)
        return changed

    return edit


def _refuse_new_errors(configuration: Configuration, text: str, changed: str) -> None:
    # A file may have keys that we do not know, because another program does; whoever edits by us means one of ours.
    sources, env = configuration.sources, configuration.environ
    before, after = (load_many(sources.with_text(one), env=env, strict=True).findings for one in (text, changed))
    known = {(finding.path, finding.message) for finding in before}
    new = [one for one in after if one.severity == "error" and (one.path, one.message) not in known]
    if new:
        raise ConfigError(new)
