"""No text gives a traceback: whatever is loaded ends in a configuration or in findings with a place."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claracore.core.config.edit import EditRefused, put, remove
from claracore.core.config.lines import read_plain
from claracore.core.config.load import LoadedConfig, load
from claracore.core.config.migrate import migrate
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.show import as_yaml, shown_options
from claracore.core.config.tree import Unreadable
from claracore.core.config.typed import shapes
from config.corpus_files import INVALID, VALID

MEGABYTE = 1024 * 1024
TEXTS = [case.text for case in (*VALID, *INVALID)]


def survives(text: str) -> LoadedConfig:
    loaded = load(text, env={"A": "1", "HOME": "/h"})
    errors = [finding for finding in loaded.findings if finding.severity == "error"]
    assert (loaded.config is None) == bool(errors)
    assert all(finding.place for finding in errors)
    for finding in loaded.findings:
        assert str(finding)
    assert len(loaded.places) >= 0
    if loaded.config is not None:
        assert as_yaml(shown_options(loaded, loaded.config, env={}, defaults=True))
    return loaded


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    survives(text)


@given(st.text("{}[]:,-?&*!|>'\"%@`#\n\t \\ab01.~<$e+=\x00\ue000\ue001\u2028\ud800\x7f\x85", max_size=60))
@settings(max_examples=400)
def test_any_punctuation(text: str) -> None:
    survives(text)


def wounded(text: str, at: int, length: int, instead: str) -> str:
    at %= len(text) + 1
    return text[:at] + instead + text[at + length :]


WOUNDED = st.builds(
    wounded,
    st.sampled_from(TEXTS),
    st.integers(0, 4000),
    st.integers(0, 12),
    st.text("{}[]:,-&*!|>'\"$ \n#0a", max_size=6),
)


@given(WOUNDED)
@settings(max_examples=400)
def test_a_file_with_a_wound(text: str) -> None:
    survives(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["${PORT}", "${a}", "${env.A}", "${env.NO}", "${MODEL_ID}", "x ${PORT}", "-1", "5s", "a & +b", "(a"]
    ),
)
KEYS = st.sampled_from(
    [*shapes(Config), *shapes(ModelConfig), "a", "b", "(default)", "members", "sets", "vars", "use", "settings", "pins"]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


def written(value: object) -> str:
    """Write any value as YAML in flow style; JSON would do, but for what JSON cannot say."""
    match value:
        case dict():
            return "{" + ", ".join(f"{written(key)}: {written(child)}" for key, child in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case None:
            return "null"
        case bool() | int() | float():
            return str(value).lower().replace("inf", ".inf").replace("nan", ".nan")
        case _:
            return "'" + str(value).replace("'", "''").replace("\n", "\n\n") + "'"


@given(st.dictionaries(KEYS, TREES, max_size=6))
@settings(max_examples=400)
def test_any_shape_under_the_known_keys(data: dict[str, object]) -> None:
    survives(written(data))


@given(TREES, st.sampled_from(sorted(shapes(ModelConfig))))
@settings(max_examples=300)
def test_any_value_for_any_option_of_a_model(value: object, key: str) -> None:
    survives(f"macros: {{a: 1}}\nmodels:\n  a:\n    cmd: x ${{PORT}}\n    {key}: {written(value)}\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a x\nb: [" + "*a, " * (MEGABYTE // 4) + "]", id="aliases of one scalar"),
        pytest.param(
            "".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" if n else "k0: &k0 [x]\n" for n in range(30000)),
            id="doubling",
        ),
        pytest.param(
            "".join(f"k{n}: &k{n} [*k{n - 1}]\n" if n else "k0: &k0 [x]\n" for n in range(40000)), id="deep aliases"
        ),
        pytest.param(
            "x: &x {a: 1}\n" + "".join(f"k{n}: &k{n} {{<<: [*x, *x], b{n}: 1}}\n" for n in range(25000)),
            id="merge keys",
        ),
        pytest.param("[" * MEGABYTE, id="open lists"),
        pytest.param("{" * MEGABYTE, id="open mappings"),
        pytest.param("a: " * (MEGABYTE // 3), id="colons"),
        pytest.param("- " * (MEGABYTE // 2), id="dashes"),
        pytest.param("? " * (MEGABYTE // 2), id="questions"),
        pytest.param("".join(" " * n + "a:\n" for n in range(1400)), id="steps"),
        pytest.param('"' + "x" * MEGABYTE, id="unclosed quote"),
        pytest.param("models: {a: {cmd: 'x ${PORT}', ttl: " + "9" * MEGABYTE + "}}", id="long number"),
        pytest.param("startPort: " + "1_" * 20000, id="underscores"),
        pytest.param("models:\n" + "  a: {}\n" * 100000, id="duplicates"),
        pytest.param("models:\n  a:\n    cmd: " + "'" * MEGABYTE, id="quotes"),
        pytest.param(
            "macros:\n  a: "
            + "x" * 10000
            + "\nmodels:\n"
            + "".join(f"  m{n}: {{cmd: '${{a}} ${{PORT}}'}}\n" for n in range(2000)),
            id="macro in many",
        ),
        pytest.param("matrix: {sets: {a: '" + "(" * 100000 + "'}}", id="parentheses"),
        pytest.param(
            "matrix: {sets: {a: '+b', " + "".join(f"s{n}: '+s{n + 1}', " for n in range(3000)) + "}}", id="set chain"
        ),
        pytest.param("upstream: {ignorePaths: ['" + "(" * 5000 + "', 'a{99999999999}', '[[a]']}", id="patterns"),
        pytest.param("\x00", id="NUL"),
        pytest.param("models: {a: {cmd: 'x\x00 ${PORT}'}}", id="NUL inside"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("\ufeffmodels: {}", id="byte order mark"),
        pytest.param("%YAML 9.9\n---\nmodels: {}", id="version directive"),
        pytest.param("%TAG ! tag:x,2000:\n---\nmodels: !y {}", id="tag directive"),
        pytest.param("models: !!python/object:os.system {}", id="python tag"),
        pytest.param("models: !!int x\nstartPort: !!int abc", id="wrong tags"),
        pytest.param("models: {}\n" + "# comment\n" * 100000, id="comments"),
    ],
)
def test_texts_that_are_meant_badly(text: str) -> None:
    survives(text)


PATHS = st.sampled_from([("startPort",), ("models", "a"), ("models", "m", "ttl"), ("groups", "g", "members")])


@given(WOUNDED, PATHS, st.sampled_from([5, "a\nb", ["a"], {"x": None}]))
@settings(max_examples=200)
def test_an_edit_of_a_wounded_file_succeeds_or_is_refused(text: str, path: tuple[str, ...], value: object) -> None:
    migrate(text, listen_port=5800)
    with contextlib.suppress(EditRefused, Unreadable):
        read_plain(put(text, path, value))
    with contextlib.suppress(EditRefused, Unreadable):
        read_plain(remove(text, path))
