"""What the corpus cannot say: several files, places, look-ups, strictness, notes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.command import split
from claracore.core.config.durations import parse_seconds
from claracore.core.config.load import LoadedConfig, load, load_many
from claracore.core.config.planned_ports import with_planned_ports
from claracore.types import Place
from config.corpus_files import CORPUS


def errors(loaded: LoadedConfig) -> list[str]:
    return [str(finding) for finding in loaded.findings if finding.severity == "error"]


TEXT = """\
models:
  qwen2.5-7b:
    cmd: x ${PORT}
    aliases:
      - gpt-4
  "a[0].b":
    cmd: x ${PORT}
    ttl: 5
groups:
  g:
    members: [gpt-4]
"""


def test_places_are_found_by_dotted_path_even_when_keys_have_dots() -> None:
    places = load(TEXT, file="c.yaml", env={}).places
    assert places["models.qwen2.5-7b.cmd"] == Place("c.yaml", 3, 5)
    assert places["models.qwen2.5-7b.aliases[0]"] == Place("c.yaml", 5, 9)
    assert places["models.a[0].b.ttl"] == Place("c.yaml", 8, 5)
    assert places["models.qwen2.5-7b"] == Place("c.yaml", 2, 3)
    assert "models.qwen2" not in places
    assert all(path in places for path in places)
    assert len(places) == 12


def test_names_resolve_and_every_model_has_a_group() -> None:
    config = load(TEXT, env={}).config
    assert config is not None
    assert config.resolve("gpt-4") == "qwen2.5-7b"
    assert config.resolve("a[0].b") == "a[0].b"
    assert config.resolve("nobody") is None
    assert config.group_of("qwen2.5-7b") == "g"
    assert config.group_of("a[0].b") == "(default)"
    assert config.groups["(default)"].members == ("a[0].b",)


def test_the_same_text_gives_an_equal_configuration() -> None:
    assert load(TEXT, env={}).config == load(TEXT, env={}).config


def test_unknown_keys_are_errors_when_strict() -> None:
    text = "modles: {}\nx-own: 1\nmodels: {a: {cmd: 'x ${PORT}', tttl: 1, x-note: 2}}\n"
    assert load(text, env={}).config is not None
    assert errors(load(text, env={}, strict=True)) == [
        "config.yaml:1:1: error: modles: unknown key 'modles' (did you mean 'models'?)",
        "config.yaml:3:32: error: models.a.tttl: unknown key 'tttl' (did you mean 'ttl'?)",
    ]


def test_what_nothing_acts_on_yet_is_told_once() -> None:
    text = (
        "models: {x: {cmd: 'x ${PORT}', timeouts: {keepalive: 9}}, y: {cmd: 'x ${PORT}', timeouts: {keepalive: 9}}}\n"
        "peers: {far: {proxy: 'http://far', models: [m], timeouts: {idleConn: 9}}}\n"
    )
    notes = [finding for finding in load(text, env={}).findings if finding.severity == "note"]
    assert [note.path for note in notes] == ["models.x.timeouts.keepalive", "peers.far.timeouts.idleConn"]
    assert all("not supported yet" in note.message for note in notes)


def test_environment_variables_may_name_models() -> None:
    text = "models:\n  '${env.ID}:x':\n    cmd: x ${PORT} ${MODEL_ID}\n  ${env.ID}: {cmd: 'x ${PORT}'}\n"
    config = load(text, env={"ID": "qwen"}).config
    assert config is not None
    assert list(config.models) == ["qwen:x", "qwen"]
    assert config.models["qwen:x"].cmd == "x ${PORT} qwen:x"
    assert errors(load(text, env={}))[0].startswith(
        "config.yaml:2:3: error: models.${env.ID}:x: environment variable 'ID' is not set"
    )


def test_a_model_needs_a_name() -> None:
    assert errors(load("models: {'': {cmd: 'x ${PORT}'}}", env={})) == [
        "config.yaml:1:14: error: models.: found a model without a name (write a name before the colon)"
    ]


def test_several_files_are_one_configuration() -> None:
    loaded = load_many(
        [
            ("a.yaml", "globalTTL: 5\napiKeys: [one]\nmodels: {a: {cmd: '${c} ${PORT}'}}\nlogLevel:\n"),
            ("b.yaml", "globalTTL: 5\napiKeys: [two]\nmodels: {b: {cmd: y}}\nmacros: {c: x}\nlogLevel: debug\n"),
        ],
        env={},
    )
    [error] = errors(loaded)
    assert error.startswith("b.yaml:3:19: error: models.b.cmd: cmd has no ${PORT}, and there is no proxy")
    loaded = load_many([("a.yaml", "apiKeys: [one]\n"), ("b.yaml", "apiKeys: [two]\nlogLevel: debug\n")], env={})
    assert loaded.config is not None
    assert loaded.config.api_keys == ("one", "two")
    assert loaded.config.log_level == "debug"
    assert loaded.places["logLevel"].file == "b.yaml"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            "globalTTL: 5",
            "globalTTL: 6",
            "b:1:12: error: globalTTL: conflict at 'globalTTL' (another value is in a:1:12)",
        ),
        ("models: {}", "models: []", "b:1:9: error: models: conflict at 'models' (another value is in a:1:9)"),
        (
            "models: {m: {proxy: 'http://a'}}",
            "models: {m: {}}",
            "b:1:10: error: models.m: duplicate models: 'm' (it is also in a:1:10)",
        ),
        ("groups: {g: {}}", "groups: {g: {}}", "b:1:10: error: groups.g: duplicate groups: 'g' (it is also in a:1:10)"),
    ],
)
def test_files_that_contradict_each_other(first: str, second: str, message: str) -> None:
    assert errors(load_many([("a", first), ("b", second)], env={})) == [message]


def test_errors_of_all_files_are_told() -> None:
    found = errors(load_many([("a", "models: ["), ("b", "startPort: x"), ("c", "globalTTL: y")], env={}))
    assert [text.split(":")[0] for text in found] == ["a", "b", "c"]


def test_no_source_at_all_is_an_empty_configuration() -> None:
    config = load_many([], env={}).config
    assert config is not None
    assert config.models == {}
    assert config.start_port == 8100


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (5, 5.0),
        ("5", 5.0),
        ("1.5", 1.5),
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("1d", 86400.0),
        (" 2m ", 120.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5x", "1m 5s", "m5", True, None, [], "9" * 50, 1e300, float("nan"), "1e3", "-5s"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected seconds"):
        parse_seconds(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


def test_a_matrix_in_use_takes_the_place_of_groups() -> None:
    text = """\
models: {a: {cmd: "x ${PORT}"}, b: {cmd: "x ${PORT}"}}
routing:
  router:
    use: matrix
    settings:
      groups: {g: {members: [a]}}
      matrix: {sets: {s: a & b}}
"""
    config = load(text, env={}).config
    assert config is not None
    assert config.matrix is not None
    assert set(config.groups) == {"(default)"}


def test_commas_of_an_environment_variable_separate_in_a_flow_list_only() -> None:
    env = {"KEYS": "one, two,", "ONE": "three"}
    loaded = load("apiKeys: [${env.KEYS}, ${env.ONE}]\n", env=env)
    assert loaded.config is not None
    assert loaded.config.api_keys == ("one", "two", "three")
    block = load("models: {a: {cmd: 'x ${PORT}', env: ['A=${env.KEYS}']}}\nx: 1\n", env=env).config
    assert block is not None
    assert block.models["a"].env == ("A=one, two,",)
    assert "a key with a space" in errors(load("apiKeys:\n  - ${env.KEYS}\n", env=env))[0]


def test_comfyui_auto_may_have_many_requests_and_its_websockets_do_not_load_it() -> None:
    text = "models: {%s: {cmd: 'x ${PORT}', concurrencyLimit: %d}}"
    config = load(text % ("comfyui_auto", 10), env={}).config
    assert config is not None
    assert config.models["comfyui_auto"].compat.ignore_websockets
    assert config.models["comfyui_auto"].concurrency_limit == 50
    for name, limit in (("comfyui_auto", 60), ("comfyui_auto", 0), ("other", 10)):
        config = load(text % (name, limit), env={}).config
        assert config is not None
        assert config.models[name].concurrency_limit == limit
        assert config.models[name].compat.ignore_websockets == (name != "other")


def test_an_unknown_time_format_is_a_warning_with_the_nearest_name() -> None:
    assert load("logTimeFormat: rfc3339\n", env={}).findings == ()
    (finding,) = load("logTimeFormat: RFC3393\n", env={}).findings
    assert (finding.severity, finding.path, finding.way_out) == ("warning", "logTimeFormat", "did you mean 'RFC3339'?")


def test_names_and_filters_get_the_planned_port() -> None:
    text = (CORPUS / "valid" / "llama-swap-port-everywhere.yaml").read_text()
    config = load(text, env={}).config
    assert config is not None
    model = with_planned_ports(config, {"a": 8105}).models["a"]
    assert (model.name, model.description, model.use_model_name) == ("on 8105", "8105", "served-8105")
    assert with_planned_ports(config, {"a": 8105}).resolve("a-8105") == "a"
    assert model.filters.strip_params == ("p8105",)
    assert model.filters.set_params == {"port": 8105}
    assert model.filters.set_params_by_id == {"b-8105": {"n": 1}}
    assert model.cmd == "x ${PORT}"


def test_a_variable_reaches_the_program_as_it_is() -> None:
    text = (CORPUS / "valid" / "llama-swap-env-backslash.yaml").read_text()
    kept = '{"a":"b\\\\c"}'
    config = load(text, env={"P": 'C:\\models\\a "b" c', "J": kept}).config
    assert config is not None
    assert split(config.models["plain"].cmd)[2:] == ["C:\\models\\a", '"b"', "c"]
    assert split(config.models["json"].cmd)[2:] == ["--as-it-is", kept, "--quoted", kept, f"--bare={kept}"]


def test_two_models_may_have_a_name_that_their_ports_tell_apart() -> None:
    text = """
base: &base {cmd: "x ${PORT}", aliases: ["on-${PORT}"], filters: {setParamsByID: {"by-${PORT}": {n: 1}}}}
models: {a: *base, b: *base}
"""
    config = load(text, env={}).config
    assert config is not None
    planned = with_planned_ports(config, {"a": 8105, "b": 8106})
    names = ("on-8105", "on-8106", "by-8105", "by-8106")
    assert [planned.resolve(name) for name in names] == ["a", "b", "a", "b"]
    alike = text.replace("on-${PORT}", "on")
    assert load(alike, env={}).config is None
    assert load(alike.replace("[", '["s-${PORT}", "s-${PORT}", '), env={}).config is None
