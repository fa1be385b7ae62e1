from __future__ import annotations

from typing import Any

import pytest

from claracore.core.config.routing import GroupConfig, MatrixConfig
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.ports.plan import plan
from claracore.core.ports.ranges import PortPlan
from claracore.types import Place
from ports.configs import config, group, model, places

WEB = Listen()


def severities(made: PortPlan) -> list[str]:
    return [finding.severity for finding in made.findings]


def only(made: PortPlan) -> str:
    assert len(made.findings) == 1, made.findings
    return str(made.findings[0])


def test_ports_count_up_from_the_start_in_the_order_of_names() -> None:
    made = plan(config("c", "a", "b"), WEB, places={})
    assert made.assignment == {"a": 8100, "b": 8101, "c": 8102}
    assert made.findings == ()


def test_a_model_without_port_macro_or_with_a_unix_socket_gets_no_port() -> None:
    made = plan(
        config("a", model("b", "x -p 1", proxy="http://10.0.0.1:80"), model("c", "x ${PORT}", transport="unix")),
        WEB,
        places={},
    )
    assert made.assignment == {"a": 8100}


def test_a_group_with_its_own_start_is_a_range_of_its_own() -> None:
    made = plan(
        config("a", "b", "c", "d", groups=(group("g", "b", "d", startPort=8200), group("h", "c"))), WEB, places={}
    )
    assert made.assignment == {"a": 8100, "c": 8101, "b": 8200, "d": 8201}
    assert [str(stretch) for stretch in made.ranges] == ["8100-8199", "8200-65535"]


def test_the_web_port_and_fixed_ports_are_never_given_out() -> None:
    made = plan(
        config("a", "b", "c", model("f", "vllm --port 8101", proxy="http://localhost:8101")),
        parse_listen("8100"),
        places={},
    )
    assert made.assignment == {"a": 8102, "b": 8103, "c": 8104}
    assert made.fixed == {"f": 8101}
    assert made.reserved == {8100, 8101}
    assert made.claimed == {8101, 8102, 8103, 8104}


def test_an_old_start_port_gives_way_to_the_web_port() -> None:
    made = plan(config("a", "b", startPort=5800), WEB, places=places(startPort=3))
    assert made.assignment == {"a": 5801, "b": 5802}
    assert only(made) == (
        "config.yaml:3:1: warning: startPort: startPort 5800 is the web interface's own port; models begin at 5801 "
        "(run `claracore config migrate` to set it to 8100)"
    )


def test_an_old_start_port_is_fine_when_the_web_port_is_another() -> None:
    made = plan(config("a", startPort=5800), parse_listen("8096"), places={})
    assert made.assignment == {"a": 5800}
    assert made.findings == ()


def test_a_full_range_overflows_behind_the_last_one_with_a_warning() -> None:
    made = plan(
        config("a", "b", "c", "g1", groups=(group("g", "g1", startPort=8102),)),
        WEB,
        places=places(groups__g__startPort=9),
    )
    assert made.assignment == {"a": 8100, "b": 8101, "g1": 8102, "c": 8103}
    assert only(made) == (
        'warning: startPort: the common range (8100-8101) is too small for its 3 models: "c" goes to 8103 '
        "(move groups.g.startPort to 8103 in config.yaml line 9 to keep them together)"
    )


def test_overflow_goes_behind_an_explicit_end_of_the_last_range() -> None:
    made = plan(
        config("a", "b", "g1", groups=(group("g", "g1", startPort=8101, endPort=8110),)),
        WEB,
        places={},
    )
    assert made.assignment == {"a": 8100, "g1": 8101, "b": 8111}


def test_the_common_range_gives_way_to_a_group_that_begins_at_the_same_port() -> None:
    made = plan(config("a", "g1", groups=(group("g", "g1", startPort=8100),)), WEB, places={})
    assert made.assignment == {"g1": 8100, "a": 8101}
    assert only(made) == (
        'warning: startPort: the common range has no ports, because group "g" begins at 8100 too: "a" goes to 8101 '
        "(move groups.g.startPort to 8101 to keep them together)"
    )


def test_an_end_before_the_start_is_one_error_and_not_a_lack_of_ports_too() -> None:
    made = plan(config("g1", groups=(group("g", "g1", startPort=8101, endPort=8100),)), WEB, places={})
    assert only(made) == (
        "error: groups.g.endPort: endPort 8100 lies before startPort 8101 (set endPort to 8101 or more, or remove it)"
    )


def test_an_explicit_end_is_a_hard_limit_that_says_what_is_lacking() -> None:
    made = plan(
        config("a", "b", "c", "d", groups=(group("g", "a", "b", "c", "d", startPort=8200, endPort=8201),)),
        WEB,
        places=places(groups__g__startPort=5, groups__g__endPort=6),
    )
    assert made.assignment == {"a": 8200, "b": 8201}
    assert only(made) == (
        'config.yaml:6:1: error: groups.g.endPort: group "g" (8200-8201) has 4 models but room for 2: 2 ports short '
        '("c", "d") (set endPort to 8203 or more, or move models to another group)'
    )


def test_ports_end_at_65535() -> None:
    made = plan(config("a", "b", "c", startPort=65534), WEB, places=places(startPort=1))
    assert made.assignment == {"a": 65534, "b": 65535}
    assert "1 port short" in only(made)
    assert made.findings[0].way_out == "set startPort to a lower port"
    assert made.findings[0].place == Place("config.yaml", 1, 1)


def test_overlapping_ranges_are_errors() -> None:
    made = plan(
        config("a", "b", groups=(group("g", "a", startPort=8200, endPort=8300), group("h", "b", startPort=8250))),
        WEB,
        places=places(groups__g__endPort=7),
    )
    assert only(made) == (
        'config.yaml:7:1: error: groups.g.endPort: the range 8200-8300 of group "g" runs into group "h", which begins '
        'at 8250 (set endPort to 8249 or less, or begin group "h" at 8301)'
    )


def test_two_groups_with_the_same_start_are_an_error() -> None:
    made = plan(config(groups=(group("g", startPort=8200), group("h", startPort=8200))), WEB, places={})
    assert "both begin at port 8200" in only(made)


def test_an_end_before_its_start_and_an_end_alone_are_errors() -> None:
    made = plan(config(groups=(group("g", startPort=8200, endPort=8100), group("h", endPort=9))), WEB, places={})
    assert severities(made)[:2] == ["error", "error"]
    assert "endPort 8100 lies before startPort 8200" in str(made.findings[0])
    assert "no startPort" in str(made.findings[1])


def fixed(model_id: str, port: int = 9001) -> str:
    return f"srv-{model_id} --port {port}"


def test_two_models_with_one_fixed_port_that_may_run_together_are_an_error_that_names_both() -> None:
    one = model("a", fixed("a"), proxy="http://localhost:9001")
    two = model("b", fixed("b"), proxy="http://localhost:9001")
    groups = (group("g", "a", "b", swap=False),)
    made = plan(config(one, two, groups=groups), WEB, places=places(models__b__cmd=12))
    assert only(made) == (
        'config.yaml:12:1: error: models.b.cmd: port 9001 is also used by model "a", and both may run together '
        "(write ${PORT} in cmd instead of the number, or let them take turns: "
        "in one group with swap: true, or as `a | b` in the matrix)"
    )
    assert made.unusable == {"b": made.findings[0]}


def clashing(*groups: GroupConfig, **routing: Any) -> set[str]:
    """Return which of a, b, c and d, which all name one port, cannot be served; x names none."""
    models = [*(model(name, fixed(name)) for name in "abcd"), model("x")]
    return set(plan(config(*models, groups=groups, **routing), WEB, places={}).unusable)


@pytest.mark.parametrize(
    ("groups", "unusable"),
    [
        ((), set()),
        ((group("g", "a", "b"), group("h", "c", "d")), set()),
        ((group("g", "a", "b", swap=False), group("h", "c", "d")), {"b"}),
        ((group("g", "a", "b", exclusive=False), group("h", "c", "d")), {"c", "d"}),
        ((group("g", "a", "b"), group("h", "c", "d", exclusive=False)), {"c", "d"}),
        ((group("g", "a", "b", persistent=True), group("h", "c", "d")), {"c", "d"}),
        ((group("g", "a", "b", "c", "d", swap=False),), {"b", "c", "d"}),
    ],
)
def test_one_fixed_port_is_a_clash_where_groups_let_two_run_together(
    groups: tuple[GroupConfig, ...], unusable: set[str]
) -> None:
    assert clashing(*groups) == unusable


@pytest.mark.parametrize(
    ("sets", "unusable"),
    [
        ({"s": "a | b | c | d"}, set()),
        ({"s": "(a | b) & (c | d)"}, {"c", "d"}),
        ({"s": "a & x", "t": "b & x", "u": "c & d"}, {"d"}),
        ({"s": "a & x", "t": "+s | b"}, set()),
    ],
)
def test_one_fixed_port_is_a_clash_where_one_set_of_a_matrix_has_two(sets: dict[str, str], unusable: set[str]) -> None:
    matrix = MatrixConfig(sets=sets)
    assert clashing(matrix=matrix, routing={"router": {"use": "matrix"}}) == unusable


def test_three_thousand_models_that_take_turns_on_one_port() -> None:
    made = plan(config(*(model(f"m{number}", fixed("x")) for number in range(3000))), WEB, places={})
    assert made.findings == ()


def test_several_names_for_one_server_that_somebody_else_runs_are_fine() -> None:
    made = plan(config(*(model(name, "", proxy="http://127.0.0.1:11434") for name in "abc"), groups=()), WEB, places={})
    assert made.findings == ()
    assert made.external == {"a", "b", "c"}


def test_a_proxy_to_a_server_that_another_model_starts_is_a_warning() -> None:
    made = plan(config(model("a", fixed("a")), model("b", "", proxy="http://127.0.0.1:9001")), WEB, places={})
    assert severities(made) == ["warning"]


def test_a_fixed_port_that_is_the_web_port_is_an_error() -> None:
    made = plan(config(model("a", fixed("a", 5800))), WEB, places=places(models__a__cmd=4))
    assert "ClaraCore itself listens" in only(made)
    assert severities(made) == ["error"]
    assert set(made.unusable) == {"a"}


def test_privileged_ports_are_errors_for_those_without_the_right() -> None:
    made = plan(config("a", startPort=80), parse_listen("443"), places={})
    assert severities(made) == ["error", "error"]
    assert plan(config("a", startPort=80), parse_listen("443"), places={}, privileged_below=0).findings == ()


def test_the_ephemeral_range_is_a_warning_unless_its_ports_are_reserved() -> None:
    kernel = range(32768, 61000)
    made = plan(config("a", "b", startPort=40000), WEB, places={}, ephemeral=kernel)
    assert "40000-40001 of the common range lie in 32768-60999" in only(made)
    assert "ip_local_reserved_ports=40000-40001" in made.findings[0].way_out
    kept = plan(config("a", startPort=40000), WEB, places={}, ephemeral=kernel, ephemeral_except=range(40000, 40100))
    assert kept.findings == ()


def test_well_known_tenants_are_a_warning_with_a_quiet_place() -> None:
    made = plan(config(*(f"m{number:02}" for number in range(25))), WEB, places={})
    assert "8123 (Home Assistant)" in only(made)
    assert "to 8200" in made.findings[0].way_out


def test_a_thousand_models() -> None:
    made = plan(config(*(f"m{number:04}" for number in range(1000)), startPort=20000), WEB, places={})
    assert sorted(made.assignment.values()) == list(range(20000, 21000))
