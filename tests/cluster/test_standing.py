"""How do a node and its head stand to each other, and what is remembered when they part?"""

from __future__ import annotations

import pytest

from claracore.core.cluster.joined import (
    WORDS,
    HeadOfNode,
    JoinedNode,
    Parted,
    Remembered,
    Standing,
    digest_of_secret,
    standing,
)

HEAD = HeadOfNode("http://10.0.0.1:5800", "", "head 10.0.0.1", "desk", secret="s", cluster="c")


@pytest.mark.parametrize(
    ("is_known", "cluster", "of_head", "wanted"),
    [
        (True, "c", "c", Standing.KNOWN),
        (True, "other", "c", Standing.KNOWN),
        (False, "c", "c", Standing.FORGOTTEN),
        (False, "other", "c", Standing.STRANGER),
        (False, "", "c", Standing.STRANGER),
        (False, "", "", Standing.STRANGER),
    ],
)
def test_only_who_remembers_the_same_can_have_forgotten(
    *, is_known: bool, cluster: str, of_head: str, wanted: Standing
) -> None:
    head = HeadOfNode("http://h", "", "k", "desk", cluster=of_head)
    assert standing(head, is_known=is_known, cluster=cluster) is wanted
    assert set(WORDS) == set(Standing)


def test_a_node_is_known_by_its_secret_and_only_by_that() -> None:
    known = Remembered((JoinedNode("desk", "http://d", "k", secret="s"), JoinedNode("old", "http://o", "k")))
    assert known.of_digest(digest_of_secret("s")) == known.nodes[0]
    assert known.of_digest(digest_of_secret("")) is None
    assert known.of_digest("s") is None


def test_the_first_invitation_names_what_is_remembered() -> None:
    known = Remembered().invited("a", 9, 0, "10.0.0.1", "c").invited("b", 9, 0, "10.0.0.2", "d")
    assert (known.address, known.cluster) == ("10.0.0.1", "c")


def test_what_is_remembered_of_a_head() -> None:
    known = Remembered(drained=frozenset({"lap"})).with_head(HEAD)
    assert known.left() == Remembered(drained=frozenset({"lap"}))
    forgotten = known.was_forgotten(7.0)
    assert (forgotten.head, forgotten.parted) == (None, Parted(HEAD.url, "desk", 7.0))
    assert forgotten.was_forgotten(9.0) == forgotten
    assert forgotten.with_head(HEAD) == known
    assert forgotten.left() == known.left()
