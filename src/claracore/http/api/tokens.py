"""How many tokens are these texts, for a model that is loaded?

Its own server counts, asked at its own address: that loads nothing, is no use of the model that keeps it loaded, and is
no request of the activity. A person who types has it asked every second.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.errors import Conflict, ModelNotFound
from claracore.host.supervisor.health import ask
from claracore.http.api.dependencies import GrantDep, RuntimeDep
from claracore.http.api.shallow import ShallowObject
from claracore.types import Endpoint, ModelState

router = APIRouter(tags=["models"])

MOST_TEXTS: Final = 64
MOST_MESSAGES: Final = 1000
MOST_BYTES: Final = 32 << 20
"""Of an answer: all tokens of a text by number; a request has 20 MB at most."""
PATIENCE_SECONDS: Final = 10.0


class TextsToCount(BaseModel):
    """Texts, and the model whose tokens are meant, by its id or an alias; `messages` are those of a chat completion."""

    model: str
    texts: list[str] = Field(max_length=MOST_TEXTS)
    messages: list[ShallowObject] = Field(default=[], max_length=MOST_MESSAGES)


class TokensView(BaseModel):
    """How many tokens each text has, without what the model's template puts around it."""

    model: str
    tokens: list[int]
    prompt: int | None
    """Of the messages, with all that the template puts around them; null without any, or where this is not counted."""


@router.post("/api/tokens")
async def tokens(runtime: RuntimeDep, grant: GrantDep, wanted: TextsToCount) -> TokensView:
    """Count the tokens of texts by the tokenizer of a model that is loaded; 409 for one that is not: it stays so."""
    model_id = runtime.resolve(wanted.model)
    if grant is not None and not grant.knows(model_id):
        raise ModelNotFound(wanted.model, filter(grant.knows, runtime.config.models))
    running = runtime.supervisor.running(model_id)
    if running is None or running.state is not ModelState.READY or running.endpoint is None or running.asleep:
        raise Conflict(f"model {model_id!r} is not loaded, and is not loaded to count tokens")
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            counts = [await _count(running.endpoint, text) if text else 0 for text in wanted.texts]
            prompt = await _prompt(running.endpoint, wanted.messages) if wanted.messages else None
    except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
        raise Conflict(f"the server of model {model_id!r} does not count tokens: {error or 'no answer'}") from error
    return TokensView(model=model_id, tokens=counts, prompt=prompt)


async def _count(endpoint: Endpoint, text: str) -> int:
    """Return how many tokens a text has, as llama-server says. Raises OSError, EOFError, ValueError."""
    match await _asked(endpoint, "/tokenize", {"content": text}):
        case {"tokens": list(numbers)}:
            return len(numbers)
    raise ValueError("its answer has no tokens")


async def _prompt(endpoint: Endpoint, messages: list[dict[str, Any]]) -> int | None:
    """Return how many tokens a chat's prompt has, as newer llama-servers say. Raises OSError, EOFError."""
    with suppress(ValueError):
        match await _asked(endpoint, "/v1/chat/completions/input_tokens", {"messages": messages}):
            case {"input_tokens": int(tokens)}:
                return tokens
    return None


async def _asked(endpoint: Endpoint, path: str, body: object) -> object:
    answer = await ask(endpoint, "POST", path, body=json.dumps(body).encode(), most_bytes=MOST_BYTES)
    if answer.status != 200:
        raise ValueError(f"{path} answers {answer.status}")
    found: object = await asyncio.to_thread(json.loads, answer.body)
    return found
