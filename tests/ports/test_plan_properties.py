"""What is true of every plan, whatever the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.model import Config, ModelConfig
from claracore.core.ports.history import remember
from claracore.core.ports.listen import Listen
from claracore.core.ports.plan import plan
from ports.configs import config, group, model

NAMES = [f"m{number:02}" for number in range(24)]
STARTS = st.integers(8100, 8130)


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    return ModelConfig(
        id="", cmd=draw(st.sampled_from(["srv --port ${PORT}", "srv --port 8105", "docker run -p 8110:1 x"]))
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    made = [model(name, draw(models()).cmd, proxy="http://localhost:${PORT}") for name in names]
    groups = []
    rest = list(names)
    for label in draw(st.lists(st.sampled_from("xyz"), unique=True)):
        members = [rest.pop() for _ in range(draw(st.integers(0, len(rest))))]
        start = draw(STARTS)
        end = draw(st.none() | st.integers(start, 8135))
        groups.append(group(label, *members, startPort=start, endPort=end))
    return config(*made, groups=tuple(groups), startPort=draw(STARTS))


HISTORIES = st.dictionaries(st.sampled_from(NAMES), st.integers(8095, 8140))


@given(configs(), HISTORIES, st.integers(8100, 8130))
def test_every_port_has_one_owner_and_lies_where_it_may(made: Config, history: Mapping[str, int], web: int) -> None:
    result = plan(made, Listen(port=web), places={}, history=history)
    given_out = list(result.assignment.values())
    assert len(set(given_out)) == len(given_out)
    assert not set(given_out) & result.reserved
    assert web in result.reserved
    overlap = any("runs into" in f.message or "both begin" in f.message for f in result.findings)
    for model_id, port in result.assignment.items():
        home = result.range_of(model_id)
        assert home is not None
        inside = port in home
        assert inside or (not home.explicit_end and port > home.end)
        others = [other for other in result.ranges if other is not home and port in other]
        last = max(result.ranges, key=lambda its: its.start)
        assert overlap or all(not inside and other.start == last.start for other in others)


@given(configs(), HISTORIES)
def test_every_model_has_a_port_or_a_finding_says_why(made: Config, history: Mapping[str, int]) -> None:
    result = plan(made, Listen(), places={}, history=history)
    wanting = {model_id for stretch in result.ranges for model_id in stretch.members}
    if wanting - result.assignment.keys():
        assert any(finding.severity == "error" and " short" in finding.message for finding in result.findings)


@given(configs(), HISTORIES)
def test_a_plan_repeats_itself(made: Config, history: Mapping[str, int]) -> None:
    first = plan(made, Listen(), places={}, history=history)
    again = plan(made, Listen(), places={}, history=remember(history, first))
    assert again.assignment == first.assignment


@given(configs())
def test_every_problem_has_a_way_out(made: Config) -> None:
    for finding in plan(made, Listen(), places={}, ephemeral=range(8120, 8130)).findings:
        assert finding.way_out or "too small" in finding.message
        assert finding.message[0].islower()
