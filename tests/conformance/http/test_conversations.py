"""Every conversation has one answer, in however many pieces its bytes arrive."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.http.corpus import ALL, Conversation
from conformance.http.memory import Outcome, converse

EXPECTED = Path(__file__).with_name("expected.json")
DIVISIBLE = [conversation for conversation in ALL if not conversation.only_whole]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


NEW_ID = re.compile(rb"\r\nX-Request-Id: [0-9a-f]{16}(?=\r\n)")


def without_chance(sent: bytes) -> list[str]:
    """The ids that we have made are others each time."""
    return NEW_ID.sub(b"\r\nX-Request-Id: NEW", sent).decode("latin-1").split("\r\n")


def readable(outcome: Outcome) -> dict[str, Any]:
    """What is compared. Whether `100 Continue` is said depends on timing: not to a body that is already there."""
    return {
        "to client": without_chance(outcome.to_client.replace(CONTINUE, b"")),
        "to server": [without_chance(sent) for sent in outcome.to_server],
        "closed": outcome.closed,
    }


def expected() -> dict[str, Any]:
    return dict(json.loads(EXPECTED.read_text()))


def play(conversation: Conversation, pieces: list[bytes], *, bytewise: bool = False) -> dict[str, Any]:
    return readable(
        asyncio.run(converse(pieces, list(conversation.answers), locked=conversation.locked, bytewise=bytewise))
    )


def test_names_are_unique() -> None:
    assert len({conversation.name for conversation in ALL}) == len(ALL) >= 120


@pytest.mark.skipif("REWRITE_EXPECTED" not in os.environ, reason="only on demand: REWRITE_EXPECTED=1")
def test_rewrite_expected() -> None:
    answers = {conversation.name: play(conversation, [conversation.client]) for conversation in ALL}
    EXPECTED.write_text(json.dumps(answers, indent=1) + "\n")


@pytest.mark.parametrize("conversation", ALL, ids=lambda conversation: conversation.name)
def test_whole(conversation: Conversation) -> None:
    assert play(conversation, [conversation.client]) == expected()[conversation.name]


@pytest.mark.parametrize("conversation", DIVISIBLE, ids=lambda conversation: conversation.name)
def test_byte_by_byte(conversation: Conversation) -> None:
    pieces = [conversation.client[n : n + 1] for n in range(len(conversation.client))]
    assert play(conversation, pieces, bytewise=True) == expected()[conversation.name]


@pytest.mark.parametrize("conversation", DIVISIBLE, ids=lambda conversation: conversation.name)
def test_split_at_every_byte(conversation: Conversation) -> None:
    wanted = expected()[conversation.name]

    async def all_splits() -> None:
        client = conversation.client
        for place in range(1, min(len(client), 700)):
            outcome = await converse(
                [client[:place], client[place:]], list(conversation.answers), locked=conversation.locked
            )
            assert readable(outcome) == wanted, f"split after byte {place}"

    asyncio.run(all_splits())
