"""Do languages that are written from the right stand as they are meant, also with words of others in them?"""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from ui.stand import ARTEFACTS, Server
from ui.talking import answers, done, say
from ui.test_written import writes

ARABIC = "هذا نص عربي طويل مع كلمة English في الوسط و `code()` أيضا."
ANSWER = f"""\
{ARABIC}

1. أولا
2. English first!
3. ثالثا

> اقتباس

| اسم | Name |
|---|---|
| قيمة | value |

An English paragraph with عربي in it.

```python
print(1)
```
"""
SIDES = """(each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  const words = range.getBoundingClientRect();
  const box = each.getBoundingClientRect();
  return [words.left - box.left, box.right - words.right].map(Math.round);
}"""
"""How far its words are from its two sides."""


def right(element: Locator) -> bool:
    """Whether what an element says stands at its right side."""
    left_room, right_room = element.evaluate(SIDES)
    return bool(right_room < left_room)


def test_what_is_written_from_the_right_stands_right(page: Page, parrots: Server) -> None:
    writes(page, ANSWER)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    field = page.get_by_label("Your message")
    field.fill("مرحبا")
    assert field.evaluate("each => getComputedStyle(each).direction") == "rtl"
    say(page, "اكتب لي نصا عن English من فضلك.")
    answer = answers(page).first
    done(answer)
    page.get_by_role("button", name="History").click()
    history = page.get_by_role("region", name="History")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "directions.png")

    assert right(answer.locator("p").first)
    assert not right(answer.locator("p", has_text="An English"))
    items = answer.locator("ol > li")
    assert [right(each) for each in items.all()] == [True, True, True]
    assert items.first.evaluate("each => getComputedStyle(each.parentElement).paddingRight") != "0px"
    assert answer.locator("blockquote").evaluate("each => getComputedStyle(each).borderRightWidth") == "3px"
    assert answer.locator("p code").evaluate("each => getComputedStyle(each).direction") == "ltr"
    assert not right(answer.locator("pre code"))
    own = page.get_by_role("article", name="You").locator("p")
    for text in (own, history.get_by_text("اكتب لي").first):
        assert text.evaluate("each => getComputedStyle(each).direction") == "rtl"
    expect(answer.locator("figure")).to_have_count(1)
