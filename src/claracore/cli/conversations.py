"""`claracore conversations`: what is kept of conversations over the ends of models' servers, and forgetting it."""

from __future__ import annotations

import time
from typing import Any

from claracore.cli.client import JSON, URL, Server, complete_model, path_of, show_json
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup, word
from claracore.core.units import MIB, lasting


def list_kept(*, url: str | None, as_json: bool) -> None:
    """List the conversations that are kept: model, tokens, size, age."""
    found = Server(url).ask("GET", "/api/conversations")
    if as_json:
        show_json(found)
    elif not found["conversations"]:
        say("no conversations are kept")
    else:
        places = f"{found['memory_bytes'] / MIB:.0f} MiB of RAM, {found['disk_bytes'] / MIB:.0f} MiB of the disk"
        rows = [kept_cells(one) for one in found["conversations"]]
        say("\n".join([*table(("model", "tokens", "size", "age"), rows), "", places]))


def kept_cells(one: dict[str, Any]) -> list[str]:
    """Return a conversation as cells of a table."""
    age = max(0.0, time.time() - one["saved_at"])
    return [one["model"], str(one["tokens"]), f"{one['bytes'] / MIB:.1f} MiB", lasting(age)]


def drop(*, model: str | None, url: str | None, as_json: bool) -> None:
    """Forget the conversations of a model, or of all."""
    path = "/api/conversations" if model is None else f"/api/conversations/{path_of(model)}"
    found = Server(url).ask("DELETE", path)
    if as_json:
        show_json(found)
    else:
        say(f"{found['dropped']} forgotten")


def conversation_lines(models: list[dict[str, Any]]) -> list[str]:
    """Return what is kept of the conversations of each model, and what that has brought."""
    return ["", *table(("model", "kept", "conversations", "restored", "tokens not read again", "works", ""), [
        [
            model["id"],
            found["keep"],
            f"{found['saved']} ({found['saved_tokens']} tokens, {found['saved_bytes'] / MIB:.0f} MiB)",
            str(found["restored"]),
            str(found["reused_tokens"])
            + (f" ({found['saved_seconds']:.1f} s)" if found["saved_seconds"] is not None else ""),
            found["works"],
            found["why"],
        ]
        for model, found in ((model, model["conversation"]) for model in models)
    ])]  # fmt: skip


CONVERSATIONS = VerbGroup(
    "Conversations that outlive the servers that they were held with.",
    {
        "list": Verb(list_kept, {"url": URL, "as_json": JSON}),
        "drop": Verb(
            drop,
            {
                "model": word(about="Id or alias; all models if none is named.", complete=complete_model, nargs="?"),
                "url": URL,
                "as_json": JSON,
            },
        ),
    },
)
