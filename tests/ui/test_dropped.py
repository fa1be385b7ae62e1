"""A file that is dropped: taken wherever in the chat it falls, and nowhere does the browser open it instead."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from fakes import senses
from ui.stand import Server


def drop(page: Page, file: Path, x: int, y: int) -> None:
    """Drag a file from elsewhere and let it fall, as a hand does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": x, "y": y, "data": data})
    session.detach()


def test_a_file_is_attached_wherever_in_the_chat_it_is_dropped(page: Page, parrots: Server, tmp_path: Path) -> None:
    picture = tmp_path / "pic.png"
    picture.write_bytes(senses.png(30, 20, 9))
    page.goto(f"{parrots.url}/ui/chat?model=seer")
    expect(page.get_by_label("Your message")).to_be_visible()
    drop(page, picture, 700, 300)
    expect(page.get_by_role("list", name="Attachments").get_by_role("listitem")).to_have_count(1)
    drop(page, picture, 100, 400)
    expect(page.get_by_role("list", name="Attachments").get_by_role("listitem")).to_have_count(2)
    assert len(page.context.pages) == 1


def test_a_file_is_pasted_wherever_the_focus_is(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=seer")
    page.get_by_role("group", name="Messages of").focus()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['hello'], 'notes.txt', { type: 'text/plain' }));
          document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(page.get_by_role("list", name="Attachments")).to_contain_text("notes.txt")


def test_a_missed_drop_opens_nothing(page: Page, parrots: Server, tmp_path: Path) -> None:
    file = tmp_path / "model.txt"
    file.write_text("x")
    page.goto(f"{parrots.url}/ui/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    drop(page, file, 700, 300)
    assert page.evaluate("1 + 1") == 2
    assert [each.url for each in page.context.pages] == [f"{parrots.url}/ui/models"]
