"""Talking: an answer streams, is stopped, asked for again, edited, and compared."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, Route, expect

from ui.picking import pick
from ui.stand import ARTEFACTS, Server
from ui.talking import answers, briefly, done, held, say

HOLD = """() => {
  const fake = { chunks: 6, hold_after: 3 };
  const body = JSON.stringify({ model: 'smollm2', stream: true, fake, messages: [] });
  fetch('/v1/chat/completions', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
}"""
"""An answer that goes on until it is cancelled; only the fake engine can do that."""

RICH = r"""
# First heading

## Second heading

### Third heading

Some text with $x_1 + y^2$ and \(\frac{a}{b}\), costs $5 and $10.

\[
\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}, \quad
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} \color{red}{abc}
+ aaaaaaaaaaa + bbbbbbbbbbbbbb + cccccccccccccccc + ddddddddddddddd
\]

$$\sum_{i=1}^n i = \frac{n(n+1)}{2}$$

3. three
4. four

- [x] done
- [ ] open
- plain

| left | middle | right |
|:-----|:------:|------:|
| a | b | 1 |
| longer | longer | 10,000 |

![a plot](https://example.org/p.png) and a broken \(\frac{a\) formula.

```python
print("one very wide line of code that goes on and on and on and on and on and on and on and on and on and on and on")
```

<think>
Wait, is that right?
</think>

End.
"""
"""All that Markdown has, and a formula that is none."""


def test_the_wait_is_explained_and_the_answer_is_measured(page: Page, server: Server) -> None:
    page.request.post(f"{server.url}/api/models/unload")
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    briefly(page)
    say(page, "Say hello.")
    expect(page.get_by_test_id("waiting")).to_contain_text(re.compile("Starting|Loading|Reading"))
    done(answers(page))
    expect(answers(page)).to_contain_text("first token after")
    page.reload()
    expect(answers(page)).to_contain_text("tokens/s")


def test_stop_keeps_what_was_said_and_the_model_is_free_again(page: Page, server: Server) -> None:
    page.route("**/v1/chat/completions", _endless)
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).locator(".markdown")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    page.goto(f"{server.url}/ui/activity")
    expect(page.get_by_label("Requests in flight")).to_contain_text("Nothing is being answered")


def test_an_answer_goes_on_while_another_page_is_looked_at(page: Page, parrots: Server) -> None:
    """Leave in mid-answer and come back: the question, the answer, Stop, and what was being written are there."""
    page.route("**/v1/chat/completions", held)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).locator(".markdown")).to_be_visible()
    page.get_by_label("Your message").fill("And then?")
    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_role("heading", name="Logs")).to_be_visible()
    page.get_by_role("link", name="Chat").click()
    expect(page.get_by_role("article", name="You")).to_contain_text("Tell me a story.")
    expect(page.get_by_label("Your message")).to_have_value("And then?")
    expect(answers(page)).to_have_attribute("aria-busy", "true")
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")


def test_an_answer_that_a_reload_cut_off_is_kept_and_so_is_the_draft(page: Page, parrots: Server) -> None:
    page.route("**/v1/chat/completions", held)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).locator(".markdown")).to_be_visible()
    said = answers(page).locator(".markdown").inner_text()
    page.get_by_label("Your message").fill("And then?")
    page.reload()
    expect(answers(page).locator(".markdown")).to_have_text(re.compile(re.escape(said)))
    expect(answers(page)).to_contain_text("not finished")
    expect(page.get_by_label("Your message")).to_have_value("And then?")


def test_two_tabs_of_one_conversation_lose_nothing(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "One")
    done(answers(page))
    other = page.context.new_page()
    other.goto(f"{parrots.url}/ui/chat")
    expect(answers(other)).to_have_count(1)
    for tab, words in ((page, "Two"), (other, "Three")):
        say(tab, words)
        expect(tab.get_by_role("button", name="Stop")).to_have_count(0)
    for tab in (page, other):
        expect(tab.get_by_role("article", name="You")).to_have_text([re.compile(w) for w in ("One", "Two", "Three")])
        expect(answers(tab)).to_have_count(3)
    other.close()
    page.reload()
    expect(answers(page)).to_have_count(3)


def test_an_unknown_model_is_an_error_to_read(page: Page, server: Server) -> None:
    page.route("**/v1/chat/completions", lambda route: route.continue_(post_data='{"model": "smolm2", "messages": []}'))
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Say hello.")
    expect(answers(page).get_by_role("alert")).to_contain_text("did you mean 'smollm2'?")


def test_an_embedding_model_is_asked_for_vectors(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/chat")
    page.get_by_role("tab", name="Embeddings").click()
    pick(page.get_by_label("Embedding model"), "embed")
    page.get_by_label("Texts, one a line").fill("The cat sits\nThe cat sits\nInterest rates rose in May")
    page.get_by_role("button", name="Embed", exact=True).click()
    expect(page.get_by_text("576 dimensions")).to_be_visible(timeout=60_000)
    cells = page.get_by_role("row").nth(1).get_by_role("cell")
    expect(cells.nth(1)).to_have_text("1.000")
    assert 0 < float(cells.nth(2).inner_text()) < 0.999
    page.screenshot(path=ARTEFACTS / "embeddings.png")


def test_a_reranker_orders_texts(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/chat")
    page.get_by_role("tab", name="Rerank").click()
    pick(page.get_by_label("Reranker"), "rank")
    page.get_by_label("Texts, one a line").fill("The port is taken\nThe cat sits")
    page.get_by_role("button", name="Rank").click()
    ranked = page.locator("section", has_text="Best first").get_by_role("listitem")
    expect(ranked).to_have_count(2, timeout=60_000)
    scores = [float(row.locator(".num").inner_text()) for row in ranked.all()]
    assert scores == sorted(scores, reverse=True)
    page.screenshot(path=ARTEFACTS / "rerank.png")


def test_who_waits_sees_whom_for_and_the_load_can_be_given_up(page: Page, parrots: Server) -> None:
    page.request.post(f"{parrots.url}/api/models/unload")
    page.goto(f"{parrots.url}/ui/chat?model=gemma")
    page.evaluate(HOLD)
    page.get_by_label("Model of the conversation").click()
    expect(page.get_by_role("group", name="Loaded", exact=True).get_by_role("option")).to_have_text(
        re.compile("SmolLM2 135M")
    )
    page.keyboard.press("Escape")
    say(page, "Hello")
    waiting = page.get_by_test_id("waiting")
    expect(waiting).to_contain_text("Queued behind SmolLM2 135M, which has answers to give")
    page.get_by_role("navigation").get_by_role("link", name="Activity").click()
    flights = page.get_by_label("Requests in flight")
    expect(flights).to_contain_text("Queued behind SmolLM2 135M")
    flights.get_by_role("row").filter(has_text="streaming").get_by_role("button", name="Cancel").click()
    expect(flights).to_contain_text("Nothing is being answered")

    page.goto(f"{parrots.url}/ui/chat?model=slow")
    page.get_by_role("button", name="New").click()
    say(page, "Hello")
    expect(waiting).to_contain_text(re.compile(r"Loading slow \d+ %"))
    page.screenshot(path=ARTEFACTS / "chat-loading.png")
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")
    page.goto(parrots.url)
    page.locator("[data-model=slow]").get_by_role("button", name="Cancel").click()
    expect(page.locator("[data-model=slow] [data-state]")).to_have_attribute("data-state", "stopped")


def test_reasoning_is_folded_and_code_is_coloured(page: Page, parrots: Server) -> None:
    said = [{"reasoning_content": "Let me think."}, {"content": "```python\ndef f():\n    return 1\n```\n**Done**"}]
    stream = "".join(f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n" for delta in said)
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=f"{stream}data: [DONE]\n\n"),
    )
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Write a function.")
    done(answers(page))
    expect(answers(page).get_by_text("Let me think.")).to_be_hidden()
    answers(page).get_by_text("Reasoning").click()
    expect(answers(page).get_by_text("Let me think.")).to_be_visible()
    expect(answers(page).locator("pre .hljs-keyword").first).to_have_text("def")
    expect(answers(page).locator("strong")).to_have_text("Done")
    page.screenshot(path=ARTEFACTS / "chat-reasoning.png")


def test_an_answer_fits_a_phone_and_its_formulas_are_typeset(page: Page, parrots: Server) -> None:
    """One wide line scrolls by itself; KaTeX comes when the first formula does, and the page's policy lets it."""
    stream = f"data: {json.dumps({'choices': [{'delta': {'content': RICH}}]})}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=stream))
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Show me everything.")
    done(answers(page))
    expect(answers(page).locator(".katex")).to_have_count(4)
    expect(answers(page).locator(".katex-display")).to_have_count(2)
    expect(answers(page).get_by_text("costs $5 and $10")).to_be_visible()
    expect(answers(page).locator("code[data-tex]")).to_have_text([r"\frac{a"])
    expect(answers(page).locator("ol")).to_have_attribute("start", "3")
    expect(answers(page).get_by_text("Reasoning")).to_be_visible()
    sizes = [answers(page).locator(f"h{level}").evaluate("e => getComputedStyle(e).fontSize") for level in (1, 2, 3)]
    assert len(set(sizes)) == 3, sizes
    page.screenshot(path=ARTEFACTS / "chat-rich.png")
    page.set_viewport_size({"width": 390, "height": 844})
    by_hand = "e => { e.dispatchEvent(new WheelEvent('wheel')); e.scrollTo(0, 0); }"
    page.get_by_role("group", name="Messages").evaluate(by_hand)
    wide = "e => e.scrollWidth - e.clientWidth"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.get_by_role("group", name="Messages").evaluate(wide) == 0
    assert answers(page).locator("pre").evaluate(wide) > 0, "the wide line scrolls inside its block"
    page.screenshot(path=ARTEFACTS / "chat-rich-phone.png")
    page.get_by_role("button", name="To the end").click()
    page.screenshot(path=ARTEFACTS / "chat-rich-phone-end.png")


def test_the_end_is_followed_until_the_person_scrolls(page: Page, parrots: Server) -> None:
    """Who reads above is left there, has a button to the end, and sees what they send."""
    lines = "\n\n".join(f"Line {number}." for number in range(80))
    stream = f"data: {json.dumps({'choices': [{'delta': {'content': lines}}]})}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=stream))
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Count.")
    done(answers(page))
    expect(page.get_by_text("Line 79.")).to_be_in_viewport()
    end = page.get_by_role("button", name="To the end")
    expect(end).to_have_count(0)
    page.get_by_text("Line 79.").hover()
    page.mouse.wheel(0, -1500)
    expect(end).to_be_visible()
    page.screenshot(path=ARTEFACTS / "chat-scrolled-up.png")
    end.click()
    expect(page.get_by_text("Line 79.")).to_be_in_viewport()
    expect(end).to_have_count(0)
    page.mouse.wheel(0, -1500)
    expect(end).to_be_visible()
    page.unroute("**/v1/chat/completions")
    page.route("**/v1/chat/completions", held)
    say(page, "And now?")
    expect(page.get_by_role("article", name="You").nth(1)).to_be_in_viewport()
    expect(answers(page).nth(1).locator(".markdown")).to_be_in_viewport()
    page.get_by_role("button", name="Stop").click()


def _endless(route: Route) -> None:
    """Keep the model talking until it is stopped."""
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps(asked | {"ignore_eos": True, "max_tokens": 1500}))
