"""How does a person choose a model in the interface? By typing a part of its name into a field with a list."""

from __future__ import annotations

from playwright.sync_api import Locator


def pick(field: Locator, model: str) -> None:
    """Choose a model by its id; the field is the combobox."""
    field.click()
    field.fill(model)
    field.page.locator(f"[data-choice='{model}']").click()
