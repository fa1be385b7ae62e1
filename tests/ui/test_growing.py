"""An answer that grows: what was there stays, and the focus stays where the end is gone to."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from ui.stand import Server
from ui.talking import answers, done, say
from ui.test_written import IN_PIECES

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
# Less than what is coloured at most.
CODE = "".join(f"def f_{number}(): pass\n" for number in range(2600))
GROWING = {
    "a list": (
        "- the first `item`\n- two\n  ```js\n  let a;\n  ```\n- the th",
        "ird item\n- the **last**\n",
        ".markdown :is(li, figure)",
    ),
    "a table": (
        "| the first | b |\n|---|---|\n| 1 | 2 |\n| 3",
        " | 4 |\n| the **last** | 6 |\n",
        ".markdown :is(th, td)",
    ),
    "long code": (f"```python\n{CODE}def ", "g(): pass\n" * 20 + "# the last\n```\n", ".hljs-keyword"),
}
"""What is there, what comes then, and what is the same in both."""
KEEP = """(css) => {
  window.kept = [...document.querySelectorAll(css)];
  getSelection().selectAllChildren(kept[0]);
}"""
ARE_KEPT = """(css) => {
  const now = document.querySelectorAll(css);
  return now.length > kept.length && kept.every((each, index) => each === now[index]);
}"""


def told(page: Page, server: Server, pieces: list[str]) -> None:
    """Have an answer that comes in these pieces, and ask for it."""
    chunks = [{"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Go on.")


def answered(page: Page, server: Server, pieces: list[str]) -> Locator:
    """Have an answer shown that comes in these pieces."""
    told(page, server, pieces)
    done(answers(page))
    return answers(page)


def test_code_in_a_list_grows_with_the_answer(page: Page, parrots: Server) -> None:
    answer = answered(page, parrots, [TEXT[at : at + 7] for at in range(0, len(TEXT), 7)])
    expect(answer.locator("figure")).to_have_count(2)
    expect(answer.locator("pre")).to_have_text(["print('one')", "two"])


@pytest.mark.parametrize("kind", list(GROWING))
def test_a_selection_stays_in_what_grows(page: Page, parrots: Server, kind: str) -> None:
    before, more, css = GROWING[kind]
    page.add_init_script(f"({IN_PIECES})(1)")
    told(page, parrots, [before, *(more[at : at + 4] for at in range(0, len(more), 4))])
    page.wait_for_function("() => window.goOn")
    answer = answers(page).first
    expect(answer.locator(css).nth(2)).to_be_visible()
    page.evaluate(KEEP, css)
    selected = page.evaluate("() => String(getSelection())")
    assert selected in before.replace("`", "")
    copy = answer.get_by_role("button", name="Copy the code")
    for each in copy.all():
        each.focus()
    page.evaluate("() => window.goOn()")
    done(answer)
    # Colours come when there is time.
    expect(answer.locator("strong, .hljs-comment")).to_have_text(re.compile("last"), timeout=30_000)
    assert page.evaluate(ARE_KEPT, css)
    assert page.evaluate("() => String(getSelection())") == selected
    for each in copy.all():
        expect(each).to_be_focused()


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
