"""What do the options of a request of Ollama's API mean to a model server?

Pure. Most have the same names in llama-server. What is fixed when a model is loaded (`num_ctx`, `num_gpu` ...) is this
server's to configure, and what llama.cpp has given up (`tfs_z`, `penalize_newline`) has no meaning any more: both are
passed over, as options are that nobody knows. Facts: docs/modelfile.md of Ollama; tools/server/README.md of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shown
from typing import Any, Final

from claracore.errors import BadRequest

NUMBERS: Final = (
    "temperature",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "mirostat_tau",
    "mirostat_eta",
)
WHOLE_NUMBERS: Final = {
    "top_k": "top_k",
    "repeat_last_n": "repeat_last_n",
    "seed": "seed",
    "mirostat": "mirostat",
    "num_keep": "n_keep",
}
"""Ollama's name, and llama-server's."""
_ALL_OF_IT: Final = 1 << 17
"""Tokens to look back where all are meant; llama-server keeps room for as many as it is told."""
_MOST = 1 << 53
"""Larger ones are no numbers to every JSON reader."""


def sampling(options: Mapping[str, Any] | None, *, limit: str = "max_tokens") -> dict[str, Any]:
    """Return the members of a request that say what the options say; `limit` is the name of its most tokens.

    Raises `BadRequest`.
    """
    fields: dict[str, Any] = {}
    for name, value in (options or {}).items():
        if value is None:
            continue
        if name in NUMBERS:
            fields[name] = _number(name, value)
        elif name == "repeat_last_n" and _whole(name, value) < 0:
            fields[name] = _ALL_OF_IT
        elif name in WHOLE_NUMBERS:
            fields[WHOLE_NUMBERS[name]] = _whole(name, value)
        elif name == "num_predict" and (most := _whole(name, value)) > 0:  # -1: no end, -2: as long as there is room
            fields[limit] = most
        elif name == "stop":
            fields["stop"] = _texts(name, value)
    return fields


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise BadRequest(f"option {name!r} must be a number, and not {_shown(value)}", param="options")
    return value


def _whole(name: str, value: object) -> int:
    return int(_number(name, value))


def _shown(value: object) -> str:
    return "a number of that size" if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def _texts(name: str, value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise BadRequest(f"option {name!r} must be a list of texts", param="options")
    return texts
