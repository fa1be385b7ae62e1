"""What a head shares of its file, with whom, and what a node's own file makes of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from claracore.core.cluster.beside import PART_FILE, TakenPart, beside, kept_names, model_revisions
from claracore.core.cluster.part import Fetch, Part, SharedModel
from claracore.core.cluster.shared import models_for, shared_out
from claracore.core.config.load import LoadedConfig, load, load_many
from claracore.core.config.model import Config
from claracore.core.config.peers import shared_names, with_found

SECRETS = {"KEY": "the-key", "KEYS": "a,b", "NAMED": "named", "TTL": "300"}
HEAD = """
macros: {dir: /models, ctx: 4096, key: "--key ${env.KEY}"}
models:
  qwen:
    macros: {ctx: 8192}
    cmd: |
      # a remark
      llama-server -m ${dir}/q.gguf -c ${ctx} --port ${PORT} ${key}
    cmdStop: kill ${PID}
    name: ${MODEL_ID} of the head
    ttl: ${env.TTL}
    env: ["A=${env.KEY}", B=1]
    unlisted: true
    concurrencyLimit: 3
    metadata: {deep: {list: [1, "1", 1.5, true, null], "${env.KEY}": x}}
    filters: {setParamsByID: {"${MODEL_ID}:high": {effort: high}}}
    placement: {nodes: all, fetch: head}
  lists: {cmd: a, proxy: 'http://localhost:1', placement: {nodes: [desk, lap]}}
  mine: {cmd: 'a ${PORT}', placement: {nodes: []}}
"""


def loaded(text: str, env: Mapping[str, str] = SECRETS) -> LoadedConfig:
    found = load(text, env=env)
    assert found.config is not None, found.findings
    return found


def shared(text: str) -> dict[str, SharedModel]:
    found = loaded(text)
    assert found.config is not None
    return {each.model.name: each.model for each in shared_out(found.written, found.config)}


def config(text: str, env: Mapping[str, str] = SECRETS) -> Config:
    found = loaded(text, env).config
    assert found is not None
    return found


def both(own: str, part: Part, env: Mapping[str, str], **paths: str) -> LoadedConfig:
    taken = TakenPart(part, paths)
    return load_many([("own.yaml", own)], env=env, parsed_beside=[beside(config(own, env), taken)])


def test_macros_are_in_place_and_what_only_the_node_knows_is_not() -> None:
    found = shared(HEAD)
    assert list(found) == ["qwen", "lists"]
    entry = found["qwen"].entry
    assert entry["cmd"] == "llama-server -m /models/q.gguf -c 8192 --port ${PORT} --key ${env.KEY}\n"
    assert (entry["cmdStop"], entry["name"], entry["ttl"]) == ("kill ${PID}", "qwen of the head", "${env.TTL}")
    assert entry["env"] == ["A=${env.KEY}", "B=1"]
    assert entry["filters"] == {"setParamsByID": {"qwen:high": {"effort": "high"}}}
    assert entry.keys().isdisjoint({"macros", "placement"})
    assert found["qwen"].fetch is Fetch.HEAD
    assert not any(secret in str(found) for secret in SECRETS.values())


def test_who_gets_what() -> None:
    found = loaded(HEAD)
    assert found.config is not None
    models = shared_out(found.written, found.config)

    def names(node: str) -> list[str]:
        return [model.name for model in models_for(node, models)]

    assert (names("desk"), names("other")) == (["qwen", "lists"], ["qwen"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {a: {cmd: 'a ${PORT}'}}", {}),
        ("placement: {nodes: all, fetch: hub}\nmodels: {a: {cmd: 'a ${PORT}'}}", {"a": "hub"}),
        ("placement: {nodes: all}\nmodels: {a: {cmd: 'a ${PORT}', placement: {fetch: head}}}", {"a": "head"}),
        ("placement: {nodes: all}\nmodels: {a: {cmd: 'a ${PORT}', placement: {nodes: []}}}", {}),
        ("placement: {nodes: all, fetch: no}\nmodels: {'${env.NAMED}': {cmd: 'a ${PORT}'}}", {"named": "no"}),
    ],
)
def test_what_a_model_does_not_say_is_said_for_all(text: str, expected: dict[str, str]) -> None:
    assert {name: model.fetch.value for name, model in shared(text).items()} == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("models: {a: {cmd: 'a ${PORT}', placement: {nodes: desk}}}", "models.a.placement.nodes"),
        ("models: {a: {cmd: 'a ${PORT}', placement: {fetch: net}}}", "models.a.placement.fetch"),
        ("placement: {nodes: 5}", "placement.nodes"),
    ],
)
def test_a_wrong_wish_is_an_error_at_its_place(text: str, place: str) -> None:
    found = load(text, env={})
    assert (found.config, [finding.path for finding in found.findings]) == (None, [place])


def test_the_node_reads_what_the_head_has_written_with_its_own_variables() -> None:
    head = config(HEAD)
    own = {**SECRETS, "KEY": 'their "own" \\ key', "TTL": "7"}
    found = both("macros: {dir: /mine}\nmodels: {}", Part((shared(HEAD)["qwen"],)), own).config
    assert found is not None
    ours, theirs = head.models["qwen"], found.models["qwen"]
    differing = {name for name in type(ours).model_fields if getattr(ours, name) != getattr(theirs, name)}
    assert differing == {"cmd", "env", "ttl_seconds", "placement", "metadata"}
    assert (theirs.ttl_seconds, theirs.env[0]) == (7.0, 'A=their "own" \\ key')
    assert theirs.metadata == {"deep": {"list": [1, "1", 1.5, True, None], own["KEY"]: "x"}}
    assert '--key their \\"own\\" \\\\ key' in theirs.cmd


def test_what_the_node_cannot_use_is_an_error_of_the_part() -> None:
    found = both("models: {}", Part((shared(HEAD)["qwen"],)), {})
    assert found.config is None
    assert {finding.place.file for finding in found.findings if finding.place is not None} == {PART_FILE}
    assert "environment variable 'KEY' is not set" in {finding.message for finding in found.findings}


OWN_WINS = [
    # What the own file has, the names of the part that are left, the other names of the model x.
    ("models: {}", ["x", "y"], ["a", "b", "x:1"]),
    ("models: {x: {cmd: 'mine ${PORT}'}}", ["y"], None),
    ("models: {m: {cmd: 'mine ${PORT}', aliases: [x]}}", ["y"], None),
    ("models: {m: {cmd: 'mine ${PORT}', aliases: [a]}}", ["x", "y"], ["b", "x:1"]),
    ("models: {a: {cmd: 'mine ${PORT}'}}", ["x", "y"], ["b", "x:1"]),
    ("models: {m: {cmd: 'mine ${PORT}', aliases: ['x:1']}}", ["x", "y"], ["a", "b"]),
    ("models: {m: {cmd: 'm ${PORT}'}}\nselectors: {y: {targets: [m]}, b: {targets: [m]}}", ["x"], ["a", "x:1"]),
]


@pytest.mark.parametrize(("own", "left", "aliases"), OWN_WINS)
def test_a_name_of_the_own_file_keeps_its_meaning(own: str, left: list[str], aliases: list[str] | None) -> None:
    part = Part(
        (
            SharedModel(
                "x", {"cmd": "theirs ${PORT}", "aliases": ["a", "b"], "filters": {"setParamsByID": {"x:1": {"t": 1}}}}
            ),
            SharedModel("y", {"cmd": "theirs ${PORT}"}),
        )
    )
    found = both(own, part, {})
    assert found.config is not None, found.findings
    assert [name for name, model in found.config.models.items() if model.cmd == "theirs ${PORT}"] == left
    assert list(model_revisions(config(own, {}), part)) == left
    assert sorted({*left, *kept_names(config(own, {}), part)}) == ["x", "y"]
    if aliases is not None:
        assert list(found.config.models["x"].aliases) == aliases


def test_a_file_has_the_path_of_the_machine() -> None:
    part = Part((SharedModel("x", {"cmd": "llama-server -m ${file:q.gguf} --port ${PORT}"}),))
    assert TakenPart(part).without_path == ("q.gguf",)
    found = both("models: {}", part, {}, **{"q.gguf": "/here and/q.gguf"}).config
    assert found is not None
    assert found.models["x"].cmd == "llama-server -m '/here and/q.gguf' --port ${PORT}"


def test_an_alias_of_a_shared_model_has_its_places_and_one_with_parameters_is_the_heads() -> None:
    text = """
    peers: {desk: {proxy: 'http://desk:1', models: auto}}
    models:
      x:
        cmd: 'x ${PORT}'
        aliases: [q]
        filters: {setParamsByID: {'x:high': {a: 1}}}
        placement: {nodes: PLACED}
    """

    def names(placed: str) -> set[str]:
        found = with_found(config(text.replace("PLACED", placed)), {"desk": ("x",)})
        return {name for name, ids in shared_names(found).items() if ids == ("x", "desk/x")}

    assert (names("all"), names("[]")) == ({"x", "q"}, {"x"})
