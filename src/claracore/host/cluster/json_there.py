"""What does another machine's answer say, as JSON? Whatever it is, it is a value or a ValueError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2  # takes a while


def json_of(answer: httpx2.Response) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of an answer that was read. Raises ValueError, also for what is nested too deeply to be read."""
    try:
        return answer.json()
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
