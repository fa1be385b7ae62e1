"""What is noted of memory beside groups and a matrix, and where it is proposed instead of them."""

from __future__ import annotations

import pytest

from claracore.core.config.check_memory import memory_instead
from claracore.core.config.load import load
from claracore.core.ports.listen import Listen
from claracore.host.setup.examine import examine
from claracore.types import Finding

MODELS = "models: {a: {cmd: 'x ${PORT}'}, b: {cmd: 'x ${PORT}'}}\n"
GROUPS = "groups: {g: {members: [a, b], swap: false}}\n"
MATRIX = "matrix: {sets: {both: a & b}}\n"
MEMORY = "routing: {router: {use: memory}}\n"


def notes(text: str) -> list[str]:
    found = load(MODELS + text, env={}).findings
    assert {finding.severity for finding in found} <= {"note"}
    return [f"{finding.path}: {finding.message}" for finding in found]


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        (MEMORY, []),
        (MEMORY + GROUPS, ["groups: swap and exclusive unload nobody: memory decides who runs together"]),
        (MEMORY + "groups: {g: {members: [a], startPort: 9000, persistent: true}}\n", []),
        (MEMORY + MATRIX, ["matrix: the matrix is not in use: memory decides who runs together"]),
        (
            "routing: {router: {settings: {memory: {budget: {ram: 8GiB}}}}}\n",
            ["routing.router.settings.memory: nothing acts on it: the router in use is group"],
        ),
        (
            "routing: {router: {use: memory, settings: {groups: {g: {members: [a], exclusive: false}}}}}\n",
            ["routing.router.settings.groups: swap and exclusive unload nobody: memory decides who runs together"],
        ),
    ],
)
def test_what_does_nothing_is_noted(text: str, noted: list[str]) -> None:
    assert notes(text) == noted


def proposals(text: str) -> list[Finding]:
    loaded = load(MODELS + text, env={})
    assert loaded.config is not None
    return memory_instead(loaded.config, loaded.places)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (GROUPS, "groups"),
        (MATRIX, "matrix"),
        ("routing: {router: {settings: {groups: {g: {members: [a]}}}}}\n", "routing.router.settings.groups"),
        ("", None),
        (MEMORY + GROUPS, None),
        ("groups: {g: {members: [a, b], startPort: 9000}}\n", None),
    ],
)
def test_memory_is_proposed_where_groups_only_say_what_fits(text: str, path: str | None) -> None:
    assert [finding.path for finding in proposals(text)] == ([] if path is None else [path])


def test_the_check_of_a_file_proposes_it_and_says_what_to_write() -> None:
    found = examine([("c.yaml", MODELS + GROUPS)], env={}, listen=Listen(port=5800)).findings
    (proposal,) = [finding for finding in found if "which models run together" in finding.message]
    assert (proposal.severity, proposal.place and proposal.place.line) == ("note", 2)
    assert "`routing: {router: {use: memory}}`" in proposal.way_out
    changed = load(MODELS + GROUPS + "routing: {router: {use: memory}}\n", env={})
    assert changed.config is not None
    assert changed.config.routing.router.use == "memory"
