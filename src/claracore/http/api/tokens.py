"""How many tokens are these texts, for a model that is loaded?

Its own server counts, asked at its own address: that loads nothing, is no use of the model that keeps it loaded, and is
no request of the activity. A person who types has it asked every second.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from claracore.errors import Conflict, ModelNotFound
from claracore.host.supervisor.health import ask
from claracore.http.api.dependencies import GrantDep, RuntimeDep
from claracore.types import Endpoint, ModelState

router = APIRouter(tags=["models"])

MOST_TEXTS: Final = 64
MOST_BYTES: Final = 32 << 20
"""Of an answer: all tokens of a text by number; a request has 20 MB at most."""
PATIENCE_SECONDS: Final = 10.0


class TextsToCount(BaseModel):
    """Texts, and the model whose tokens are meant, by its id or an alias."""

    model: str
    texts: list[str] = Field(max_length=MOST_TEXTS)


class TokensView(BaseModel):
    """How many tokens each text has, without what the model's template puts around it."""

    model: str
    tokens: list[int]


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
    except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
        raise Conflict(f"the server of model {model_id!r} does not count tokens: {error or 'no answer'}") from error
    return TokensView(model=model_id, tokens=counts)


async def _count(endpoint: Endpoint, text: str) -> int:
    """Return how many tokens a text has, as llama-server says. Raises OSError, EOFError, ValueError."""
    body = json.dumps({"content": text}).encode()
    answer = await ask(endpoint, "POST", "/tokenize", body=body, most_bytes=MOST_BYTES)
    if answer.status != 200:
        raise ValueError(f"/tokenize answers {answer.status}")
    found = await asyncio.to_thread(json.loads, answer.body)
    match found:
        case {"tokens": list(numbers)}:
            return len(numbers)
    raise ValueError("its answer has no tokens")
