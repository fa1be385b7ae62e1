from __future__ import annotations

import itertools

import pytest

from claracore.core.config.changes import compare
from claracore.core.config.load import load
from claracore.core.config.model import Config
from config.corpus_files import VALID

BASE = """\
macros: {ctx: 1024, port: "--port ${PORT}"}
startPort: 8100
models:
  a: {cmd: "llama-server ${port} -c ${ctx}", ttl: 60}
  b: {cmd: "other ${port}", aliases: [bee]}
groups:
  g: {members: [a]}
"""


def config(text: str) -> Config:
    loaded = load(text, env={})
    assert loaded.config is not None, loaded.findings
    return loaded.config


def outcome(text: str) -> dict[str, set[str]]:
    changes = compare(config(BASE), config(text))
    sets = {
        "added": changes.added,
        "removed": changes.removed,
        "restart": changes.restart,
        "soft": changes.soft,
        "kept": changes.kept,
        "settings": changes.settings,
    }
    return {name: set(ids) for name, ids in sets.items() if ids}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", {"kept": {"a", "b"}}),
        ("ctx: 1024", "ctx: 2048", {"restart": {"a"}, "kept": {"b"}}),
        ("ttl: 60", "ttl: 1m", {"kept": {"a", "b"}}),
        ("ttl: 60", "ttl: 61", {"soft": {"a"}, "kept": {"b"}}),
        ("[bee]", "[bea]", {"soft": {"b"}, "kept": {"a"}}),
        ("members: [a]", "members: [a], swap: false", {"soft": {"a"}, "kept": {"b"}, "settings": {"groups"}}),
        ("members: [a]", "members: [a], startPort: 9000", {"kept": {"a", "b"}, "settings": {"groups"}}),
        ("members: [a]", "members: [b]", {"soft": {"a", "b"}}),
        ("  b:", "  c:", {"added": {"c"}, "removed": {"b"}, "kept": {"a"}}),
        ("startPort: 8100", "startPort: 9100", {"settings": {"start_port"}, "kept": {"a", "b"}}),
        ("startPort: 8100", "engine: /x", {"settings": {"engine"}, "restart": {"a"}, "kept": {"b"}}),
        ("startPort: 8100", "globalTTL: 5", {"settings": {"global_ttl"}, "soft": {"b"}, "kept": {"a"}}),
        ("aliases: [bee]", "env: [X=1], aliases: [bee]", {"restart": {"b"}, "kept": {"a"}}),
    ],
)
def test_what_must_happen(old: str, new: str, expected: dict[str, set[str]]) -> None:
    assert outcome(BASE.replace(old, new) if old else BASE) == expected


def test_renaming_a_macro_changes_nothing() -> None:
    assert compare(config(BASE), config(BASE.replace("ctx", "context"))).nothing


def test_some_settings_act_only_after_a_new_start() -> None:
    changes = compare(config(BASE), config(BASE + "logToStdout: none\nlogLevel: debug\n"))
    assert changes.settings == {"log_to_stdout", "log_level"}
    assert changes.needs_new_start == {"log_to_stdout"}


def test_nothing_changes_exactly_if_both_mean_the_same() -> None:
    configs = [loaded.config for loaded in (case.load() for case in VALID) if loaded.config is not None]
    for old, new in itertools.product(configs, repeat=2):
        changes = compare(old, new)
        assert changes.nothing == (old == new)
        told = [changes.added, changes.removed, changes.restart, changes.soft, changes.kept]
        assert sum(map(len, told)) == len(old.models.keys() | new.models.keys())
