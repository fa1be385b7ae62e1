"""How deep may data be that a body brings as it likes?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from claracore.core.cluster.part import DEEPEST, is_shallow


def _shallow(found: dict[str, Any]) -> dict[str, Any]:
    if not is_shallow(found, DEEPEST):
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return found


ShallowObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""Any object. What is nested beyond reason is refused: whoever takes it apart or writes it down calls itself."""
