"""What models write is drawn as it is meant: code in lists, wide tables, thoughts, tasks; also on a phone."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from ui.stand import ARTEFACTS, Server
from ui.talking import answers, done, say

WIDE = "  return " + " + ".join(f"number_{index}" for index in range(14))
CODE = f"""\
1. First:

   ```python sums.py
   def total():
   {WIDE}
   ```
2. Then quote:

   > ```sh
   > curl http://127.0.0.1:5800/v1/models{"x" * 90}
   > ```

- a bullet

  ```js
  let a = 1;
  ```

> a quotation
>
> ```js
> let b = 2;
> ```

And words that go on after all of it, in more pieces than one.
"""
TABLE = """\
| Model | Parameters | Context | Licence | Recommended use |
|---|--:|--:|---|---|
| SmolLM2 | 135M | 131072 | Apache-2.0 | classification |
"""
TASKS = """\
- [ ] Buy
  - milk
- [x] Cook
- plain
  - nested
"""
TAGS = """\
Use the <div> tag, vector<int> v; if a<b and c>d then x.

<answer>42</answer>

- <header>: the top
- <main>

<details><summary>More</summary>

Hidden text

```js
let a = 1;
```

</details>

Press <kbd>Ctrl</kbd>+<kbd>C</kbd>.

<!DOCTYPE html>
<html>
  <body class="plain"></body>
</html>
"""
WHOLE = """(words) => words.map((word) => {
  const cell = [...document.querySelectorAll('.markdown :is(th, td)')].find((each) => each.textContent.includes(word));
  const text = [...cell.childNodes].find((each) => each.data?.includes(word));
  const range = document.createRange();
  range.setStart(text, text.data.indexOf(word));
  range.setEnd(text, text.data.indexOf(word) + word.length);
  return range.getClientRects().length;
})"""
"""How many lines each word of a table has."""
END = "And words"
IN_PIECES = """(held) => {
  const fetched = window.fetch;
  window.fetch = async (...asked) => {
    const reply = await fetched(...asked);
    if (!String(asked[0]?.url ?? asked[0]).includes('/v1/chat/completions')) return reply;
    const pieces = (await reply.text()).split(/(?<=\\n\\n)/).map((each) => new TextEncoder().encode(each));
    let next = 0;
    const body = new ReadableStream({
      async pull(stream) {
        await (next === held ? new Promise((resolve) => (window.goOn = resolve)) : new Promise(requestAnimationFrame));
        if (next < pieces.length) stream.enqueue(pieces[next++]);
        else stream.close();
      },
    }, { highWaterMark: 0 });
    return new Response(body, reply);
  };
}"""
"""Has answers drawn piece by piece, with a halt before one of them until `goOn` is called."""


def writes(page: Page, text: str, *, before: tuple[dict[str, object], ...] = ()) -> None:
    """Have each model say this."""

    def chunk(delta: dict[str, object], **more: object) -> str:
        return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}], **more})}\n\n"

    body = "".join(chunk({"reasoning_content": each["text"]}, system_fingerprint=each["by"]) for each in before)
    body += "".join(chunk({"content": text[at : at + 20]}) for at in range(0, len(text), 20)) + "data: [DONE]\n\n"
    page.unroute("**/v1/chat/completions")
    page.route("**/v1/chat/completions", lambda route: route.fulfill(content_type="text/event-stream", body=body))


def asked(page: Page, server: Server, width: int = 1280) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Well?")
    done(answers(page).first)


def shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"written-{name}.png")


@pytest.mark.parametrize("width", [1280, 390])
def test_code_in_a_list_is_a_block_that_scrolls_by_itself(page: Page, parrots: Server, width: int) -> None:
    writes(page, CODE)
    asked(page, parrots, width)
    answer = answers(page).first
    blocks = answer.locator("ol figure")
    expect(blocks).to_have_count(2)
    expect(blocks.first).to_contain_text("sums.py")
    expect(blocks.first.locator(".hljs-keyword").first).to_have_text("def")
    expect(answer.get_by_role("button", name="Copy the code")).to_have_count(4)
    for code in ("def total", "curl http", "let a = 1;", "let b = 2;"):
        expect(answer.locator("pre", has_text=code)).to_have_count(1)
    expect(blocks.last.locator("xpath=ancestor::blockquote")).to_have_count(1)
    shot(page, f"code-{width}")
    pane = page.get_by_role("group", name="Messages of")
    assert pane.evaluate("each => each.scrollWidth <= each.clientWidth")
    assert blocks.first.locator("pre").evaluate("each => each.scrollWidth > each.clientWidth") or width > 1000


def test_code_in_a_list_stays_as_it_is_while_the_answer_goes_on_after_it(page: Page, parrots: Server) -> None:
    writes(page, CODE)
    page.add_init_script(f"({IN_PIECES})({CODE.index(END) // 20 + 2})")
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Well?")
    answer = answers(page).first
    page.wait_for_function("() => window.goOn")
    expect(answer.locator("pre", has_text="let b = 2;")).to_have_count(1)
    code = answer.locator("pre", has_text="def total")
    code.evaluate("each => getSelection().selectAllChildren(each)")
    answer.get_by_role("button", name="Copy the code").first.focus()
    page.evaluate("() => window.goOn()")
    done(answer)
    shot(page, "code-went-on")
    expect(answer.get_by_text(END)).to_be_visible()
    for part in ("def total", "curl http", "let a = 1;", "let b = 2;"):
        expect(answer.locator("pre", has_text=part)).to_have_count(1)
    assert "def total" in page.evaluate("() => String(getSelection())")
    expect(answer.get_by_role("button", name="Copy the code").first).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_table_keeps_its_words_whole_and_scrolls(page: Page, parrots: Server, width: int) -> None:
    writes(
        page,
        TABLE + "\n" + TABLE.replace("Model |", "Model | " + "smartphone | " * 12, 1).replace("---|", "---|" * 13, 1),
    )
    asked(page, parrots, width)
    lines = page.evaluate(WHOLE, ["Parameters", "Context", "131072", "classification", "smartphone"])
    shot(page, f"table-{width}")
    assert lines == [1, 1, 1, 1, 1]
    assert page.get_by_role("group", name="Messages of").evaluate("each => each.scrollWidth <= each.clientWidth")


def test_what_is_nested_under_a_task_stands_further_in(page: Page, parrots: Server) -> None:
    writes(page, TASKS)
    asked(page, parrots)
    shot(page, "tasks")

    left = "each => each.getBoundingClientRect().x"
    nested = [each.evaluate(left) for each in answers(page).locator("li li").all()]
    box = answers(page).locator("[data-task]").first.evaluate(left)
    assert nested[0] == pytest.approx(nested[1], abs=1)
    assert nested[0] > box + 15


def test_a_thought_after_a_space_leaves_the_answer(page: Page, parrots: Server) -> None:
    writes(page, " <think>\nhm\n</think>\n\nThe answer is 4.")
    asked(page, parrots)
    expect(answers(page).get_by_text("The answer is 4.")).to_be_visible()
    expect(answers(page).locator("details")).to_have_count(1)


def test_how_the_load_stands_is_no_thought(page: Page, parrots: Server) -> None:
    writes(page, "Hello.", before=({"text": "loading smollm2", "by": "claracore-loading"},))
    asked(page, parrots)
    expect(answers(page).get_by_text("Hello.")).to_be_visible()
    expect(answers(page).locator("details")).to_have_count(0)


def test_tags_in_words_are_shown_as_they_were_written(page: Page, parrots: Server) -> None:
    writes(page, TAGS)
    asked(page, parrots)
    answer = answers(page).first
    shot(page, "tags")
    expect(answer.locator("p").first).to_have_text("Use the <div> tag, vector<int> v; if a<b and c>d then x.")
    expect(answer.get_by_text("<answer>42</answer>")).to_be_visible()
    expect(answer.locator("li").first).to_have_text("<header>: the top")
    expect(answer.get_by_text("Hidden text")).not_to_be_visible()
    answer.get_by_text("More", exact=True).click()
    expect(answer.get_by_text("Hidden text")).to_be_visible()
    expect(answer.locator("details").get_by_role("button", name="Copy the code")).to_have_count(1)
    expect(answer.locator("figure", has_text="<!DOCTYPE html>")).to_have_count(1)
    expect(answer.locator("kbd")).to_have_text(["Ctrl", "C"])
