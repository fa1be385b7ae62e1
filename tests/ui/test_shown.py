"""What models write is shown as it is meant: code in lists, tables, thoughts. Files are taken wherever they fall."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from ui.stand import ARTEFACTS, Server
from ui.talking import answers, done, say

WIDE = "print('" + "a very wide line of code " * 6 + "')"
TEXT = f"""\
1. First:

   ```python main.py
   {WIDE}
   ```

2. Then:

   > ```
   > {WIDE}
   > ```

- [ ] Buy
  - milk
- [x] Cook

| Model | Parameters | Context | Licence | Recommended use |
|---|---|---|---|---|
| SmolLM2 | 135 million | 131072 | Apache-2.0 | classification of short texts |
"""
LOADING = {"system_fingerprint": "claracore-loading", "choices": [{"delta": {"reasoning_content": "loading smollm2"}}]}
DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name, { type: 'text/plain' }));
  const target = document.querySelector('[role=group][aria-label^=Messages]');
  const tell = (type) => target.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  return [tell('dragover'), tell('drop')];
}"""
PASTE = """([selector, name]) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File(['pasted'], name, { type: 'application/json' }));
  document.querySelector(selector).dispatchEvent(
    new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
}"""
SPLIT = """() => [...document.querySelectorAll('article th, article td')].some((cell) => {
  const range = document.createRange();
  return cell.textContent.trim().split(/[\\s-]+/).some((word) => {
    const from = cell.firstChild.textContent.indexOf(word);
    range.setStart(cell.firstChild, from);
    range.setEnd(cell.firstChild, from + word.length);
    return range.getClientRects().length > 1;
  });
})"""
"""Whether a word of a table goes over two lines."""


def stream(*chunks: object) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def said(text: str) -> object:
    return {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}


def answered(page: Page, server: Server, *chunks: object) -> Locator:
    """Have an answer of these chunks shown."""
    body = stream(*chunks)
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Go on.")
    done(answers(page))
    return answers(page)


@pytest.mark.parametrize("width", [1360, 390])
def test_code_in_lists_is_code_and_tables_have_whole_words(page: Page, parrots: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 860})
    answer = answered(page, parrots, said(TEXT))
    expect(answer.locator("figure")).to_have_count(2)
    expect(answer.locator("figure").first).to_contain_text("main.py")
    expect(answer.locator("figure").first.locator("[class^=hljs]").first).to_be_visible()
    expect(answer.get_by_role("button", name="Copy the code")).to_have_count(2)
    list_ = page.get_by_role("group", name="Messages of the conversation")
    assert list_.evaluate("list => list.scrollWidth - list.clientWidth") <= 0
    assert not page.evaluate(SPLIT)
    box = answer.locator("[data-task=open]").bounding_box()
    nested = answer.get_by_role("listitem").filter(has_text=re.compile("^milk$")).bounding_box()
    assert box is not None
    assert nested is not None
    assert nested["x"] > box["x"] + 12
    page.screenshot(path=ARTEFACTS / f"chat-nested-{width}.png")


def test_code_in_a_list_grows_with_the_answer(page: Page, parrots: Server) -> None:
    pieces = [said(TEXT[at : at + 20]) for at in range(0, len(TEXT), 20)]
    answer = answered(page, parrots, *pieces)
    expect(answer.locator("figure")).to_have_count(2)
    expect(answer.locator("pre")).to_have_count(2)


def test_a_thought_behind_a_space_leaves_the_answer(page: Page, parrots: Server) -> None:
    answer = answered(page, parrots, said(" <think>\nhm\n</think>\n\nThe answer is 4."))
    expect(answer.get_by_text("The answer is 4.")).to_be_visible()
    expect(answer.get_by_text("Reasoning")).to_be_visible()


def test_what_the_server_says_of_a_load_is_no_reasoning(page: Page, parrots: Server) -> None:
    answer = answered(page, parrots, LOADING, said("Hello."))
    expect(answer.get_by_text("Hello.")).to_be_visible()
    expect(answer.get_by_text("Reasoning")).to_have_count(0)


def test_files_are_taken_wherever_they_are_let_go(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    expect(page.get_by_label("Your message")).to_be_visible()
    assert page.evaluate(DROP, ["notes.txt", "some words"]) == [False, False]  # the browser does nothing with it
    expect(page.get_by_role("button", name="Remove attachment 1: notes.txt")).to_be_visible()
    page.evaluate(PASTE, ["main", "pasted.json"])
    expect(page.get_by_role("button", name="Remove attachment 2: pasted.json")).to_be_visible()
    page.goto(f"{parrots.url}/ui/logs")
    dropped = DROP.replace("'[role=group][aria-label^=Messages]'", "'main'")
    expect(page.get_by_role("heading", name="Logs")).to_be_visible()
    assert page.evaluate(dropped, ["notes.txt", "some words"]) == [False, False]


def test_the_focus_stays_with_the_conversation_when_its_end_is_gone_to(page: Page, parrots: Server) -> None:
    answered(page, parrots, said("Line.\n\n" * 80))
    messages = page.get_by_role("group", name="Messages of the conversation")
    messages.hover()
    page.mouse.wheel(0, -2000)
    end = page.get_by_role("button", name="To the end")
    end.focus()
    page.keyboard.press("Enter")
    expect(end).to_have_count(0)
    expect(messages).to_be_focused()
