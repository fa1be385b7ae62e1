from __future__ import annotations

from dataclasses import asdict

from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.report import Observation, PortState, report, role_of
from claracore.types import Finding, Place
from ports.configs import config, group, model

CONFIG = config(
    "a", "b", model("x", "", proxy="http://127.0.0.1:9001"), groups=(group("g", "b", startPort=8200, endPort=8209),)
)
PLAN = plan(CONFIG, Listen(), places={})


def test_the_shape_of_the_report() -> None:
    observed = {
        5800: Observation(PortState.SERVING, None, 1, "ClaraCore (pid 1)"),
        8100: Observation(PortState.STRANGER, None, 7, "nginx (pid 7)"),
        8101: Observation(PortState.SERVING, "a", 9, 'model "a"'),
        8200: Observation(PortState.HELD, "b", 1, "ClaraCore (pid 1)"),
    }
    finding = Finding("warning", "m", "startPort", Place("c.yaml", 1, 2), "do")
    assert asdict(report(PLAN, CONFIG, observed, findings=(finding,))) == {
        "web": {
            "hosts": ["127.0.0.1", "::1"],
            "port": 5800,
            "url": "http://127.0.0.1:5800",
            "state": "serving",
            "pid": 1,
            "holder": "ClaraCore (pid 1)",
        },
        "ranges": [
            {"name": "(default)", "start": 8100, "end": 8199, "members": ["a"]},
            {"name": "g", "start": 8200, "end": 8209, "members": ["b"]},
        ],
        "ports": [
            row(8100, "a", "(default)", "stranger", 7, "nginx (pid 7)"),
            row(8101, "a", "(default)", "serving", 9, 'model "a"'),
            row(8200, "b", "g", "held", 1, "ClaraCore (pid 1)"),
            row(9001, "x", "(default)", "unknown", None, ""),
        ],
        "findings": [
            {"severity": "warning", "message": "m", "path": "startPort", "place": "c.yaml:1:2", "way_out": "do"}
        ],
        "ollama": None,
    }


def row(*cells: object) -> object:
    return dict(zip(("port", "model", "group", "state", "pid", "holder", "note"), (*cells, ""), strict=True))


def test_the_address_for_clients_of_ollama_is_one_of_our_own() -> None:
    made = plan(CONFIG, Listen(), places={}, ollama=True)
    found = report(made, CONFIG, {11434: Observation(PortState.STRANGER, None, 7, "ollama (pid 7)")})
    assert found.ollama is not None
    assert (found.ollama.url, found.ollama.state) == ("http://127.0.0.1:11434", "stranger")
    assert 11434 not in {row.port for row in found.ports}
    assert role_of(11434, made) == "it is where clients of Ollama look for ClaraCore (--ollama, ollama.listen)"
    assert role_of(11434, PLAN) == ""


def test_a_port_that_another_model_still_has_says_for_whom_it_is_planned() -> None:
    observed = {8100: Observation(PortState.SERVING, "old", 9, 'model "old"')}
    first = report(PLAN, CONFIG, observed).ports[0]
    assert (first.model, first.note) == ("old", 'planned for "a"')


def test_what_the_plan_wants_with_a_port() -> None:
    assert role_of(5800, PLAN) == "it is the port of ClaraCore's web interface"
    assert role_of(8100, PLAN) == 'it is planned for model "a"'
    assert role_of(9001, PLAN) == 'model "x" names a server of somebody else there'
    assert role_of(8205, PLAN).startswith("it lies in the range 8200-8209 of groups.g.startPort")
    assert role_of(9999, PLAN) == ""
    both = plan(config(model("y", "srv --port 9001 --other", proxy="http://127.0.0.1:9002")), Listen(), places={})
    assert role_of(9002, both) == 'model "y" names it itself'
    assert role_of(9001, both) == "a model's command names it"
