"""Where do clients of Ollama find us too, and what can be wrong with that?"""

from __future__ import annotations

import pytest

from claracore.core.config.program import OllamaEntrance
from claracore.core.ports.listen import LOOPBACK, Listen
from claracore.core.ports.plan import plan
from claracore.core.ports.ranges import PortPlan
from claracore.core.ports.second import not_open
from ports.configs import config, group, model


def planned(listen: str, *, wanted: bool = False, web: int = 5800) -> PortPlan:
    made = config("a", "b").model_copy(update={"ollama": OllamaEntrance(listen=listen)})
    return plan(made, Listen(port=web), places={}, ollama=wanted)


@pytest.mark.parametrize(
    ("listen", "wanted", "found"),
    [
        ("", 0, None),
        ("", 1, Listen(LOOPBACK, 11434)),
        ("127.0.0.1:11434", 0, Listen(("127.0.0.1",), 11434)),
        ("127.0.0.1:11435", 1, Listen(("127.0.0.1",), 11435)),
        ("11434", 0, Listen(LOOPBACK, 11434)),
        (":11434", 0, Listen(("0.0.0.0", "::"), 11434)),
    ],
)
def test_the_address(listen: str, wanted: int, found: Listen | None) -> None:
    made = planned(listen, wanted=bool(wanted))
    assert (made.ollama, made.findings) == (found, ())


@pytest.mark.parametrize(
    ("listen", "severity", "says"),
    [
        ("here", "error", "ollama.listen 'here': 'here' is not a port"),
        ("auto", "error", "leaves the port open"),
        (":0", "error", "leaves the port open"),
        ("[::1", "error", "has no port behind the bracket"),
        ("127.0.0.1:5800", "warning", "is served anyway"),
    ],
)
def test_what_is_wrong(listen: str, severity: str, says: str) -> None:
    made = planned(listen)
    [finding] = made.findings
    assert (made.ollama, finding.severity, finding.path) == (None, severity, "ollama.listen")
    assert says in finding.message
    assert finding.way_out


def test_served_there_anyway() -> None:
    made = planned("", wanted=True, web=11434)
    assert (made.ollama, made.findings) == (None, ())


def test_no_model_is_given_its_port() -> None:
    models = config("a", "b", "c", groups=(group("g", "a", "b", startPort=11433, endPort=11440),))
    made = plan(models, Listen(), places={}, ollama=True)
    assert (made.assignment["a"], made.assignment["b"]) == (11433, 11435)
    assert 11434 not in made.claimed
    fixed = config(model("x", "srv --port 11434", proxy="http://127.0.0.1:11434"))
    named = plan(fixed, Listen(), places={}, ollama=True)
    assert "the one on which ClaraCore itself listens" in named.unusable["x"].message
    assert not plan(fixed, Listen(), places={}).unusable


def test_a_taken_address_names_the_holder_and_the_way_out() -> None:
    finding = not_open(Listen(LOOPBACK, 11434), "ollama (pid 7, user ollama)", "http://127.0.0.1:5800")
    assert finding.message.startswith("port 11434 for clients of Ollama is taken by ollama (pid 7, user ollama)")
    assert "systemctl stop ollama" in finding.way_out
    assert "stop that process" in not_open(Listen(LOOPBACK, 11434), "nginx (pid 7)", "x").way_out
