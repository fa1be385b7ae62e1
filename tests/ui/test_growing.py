"""An answer that grows: code in a list is a block, and the focus stays where the end is gone to."""

from __future__ import annotations

import json

from playwright.sync_api import Locator, Page, expect

from ui.stand import Server
from ui.talking import answers, done, say

TEXT = """\
1. First:

   ```python main.py
   print('one')
   ```

2. Then:

   > ```
   > two
   > ```
"""


def answered(page: Page, server: Server, pieces: list[str]) -> Locator:
    """Have an answer shown that comes in these pieces."""
    chunks = [{"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Go on.")
    done(answers(page))
    return answers(page)


def test_code_in_a_list_grows_with_the_answer(page: Page, parrots: Server) -> None:
    answer = answered(page, parrots, [TEXT[at : at + 7] for at in range(0, len(TEXT), 7)])
    expect(answer.locator("figure")).to_have_count(2)
    expect(answer.locator("pre")).to_have_text(["print('one')", "two"])


def test_the_focus_stays_with_the_conversation_when_its_end_is_gone_to(page: Page, parrots: Server) -> None:
    answered(page, parrots, ["Line.\n\n" * 80])
    messages = page.get_by_role("group", name="Messages of the conversation")
    messages.hover()
    page.mouse.wheel(0, -2000)
    end = page.get_by_role("button", name="To the end")
    end.focus()
    page.keyboard.press("Enter")
    expect(end).to_have_count(0)
    expect(messages).to_be_focused()
