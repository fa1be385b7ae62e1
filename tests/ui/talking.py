"""What does a person do in the chat, over and over?"""

from __future__ import annotations

import json

from playwright.sync_api import Locator, Page, Route, expect


def answers(page: Page | Locator) -> Locator:
    """Find what models said."""
    return page.get_by_role("article", name="Answer")


def say(page: Page, text: str) -> None:
    """Send a message."""
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def briefly(page: Page) -> None:
    """Have short answers: small models do not know when to end."""
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Longest answer").fill("6")


def done(answer: Locator) -> None:
    """Wait until an answer is there."""
    expect(answer.get_by_role("button", name="Regenerate")).to_be_visible(timeout=60_000)


def held(route: Route) -> None:
    """Let the fake engine say three pieces and then nothing until it is stopped."""
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps(asked | {"fake": {"chunks": 6, "hold_after": 3}}))


def pane(page: Page, number: int) -> Locator:
    """Find one of several conversations that stand side by side."""
    return page.get_by_role("region", name=f"conversation {number}")
