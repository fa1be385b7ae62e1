"""A conversation of hundreds of messages opens at its end, at once; what is earlier is shown when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from ui.stand import Server
from ui.talking import done, say

MESSAGES = 600
ANSWER = "Answer **{}** with `code`\n\n```python\nprint({})\n```\n\n- a\n- b\n\n$x^2$\n"


def conversation(model: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {
            "id": f"m{at}",
            "parent": f"m{at - 1}" if at else None,
            "at": 1_795_903_353_816 + at,
            "role": "assistant" if at % 2 else "user",
            "text": ANSWER.format(at, at) if at % 2 else f"Question {at}",
            "parts": [],
            "files": [],
            "reasoning": "",
            "error": None,
            "stopped": False,
            "cut": False,
            "continues": None,
            "model": model if at % 2 else "",
            "figures": {"first_token_seconds": 0.1, "total_seconds": 0.2} if at % 2 else None,
        }
        for at in range(MESSAGES)
    ]
    thread = {
        "id": "big",
        "model": model,
        "messages": messages,
        "leaf": messages[-1]["id"],
        "title": "Long",
        "titledAt": 1,
    }
    return {"format": "claracore.chat", "version": 1, "threads": [thread | {"comparison": ""}], "presets": []}


def test_a_long_conversation_shows_its_end_and_what_is_earlier_when_asked(
    page: Page, parrots: Server, tmp_path: Path
) -> None:
    file = tmp_path / "long.json"
    file.write_text(json.dumps(conversation("seer")))
    page.goto(f"{parrots.url}/ui/chat?model=seer")
    page.get_by_role("button", name="History").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import").click()
    chooser.value.set_files(file)
    page.get_by_role("button", name="Long").first.click()
    articles = page.get_by_role("article")
    expect(articles.last).to_contain_text(f"Answer {MESSAGES - 1}")
    expect(articles.last).to_be_in_viewport()
    assert articles.count() <= 60
    earlier = page.get_by_role("button", name="Show earlier messages (540)")
    earlier.scroll_into_view_if_needed()
    first = articles.first
    expect(first).to_contain_text("Question 540")
    before = page.get_by_text("Question 540", exact=True).bounding_box()
    earlier.click()
    expect(articles).to_have_count(120)
    after = page.get_by_text("Question 540", exact=True).bounding_box()
    assert before
    assert after
    assert abs(before["y"] - after["y"]) < 80, "what was read stays where it is"
    say(page, "And then?")
    done(articles.last)
    expect(articles.last).to_be_in_viewport()
