"""What is a conversation in the terminal, and what do the lines do that begin with a slash?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claracore.cli.client import Server, ServerSaid, path_of
from claracore.cli.verb import explained, meant

Message = dict[str, str]

COMMANDS = {
    "/help": "These words.",
    "/model": "Go on with another model: /model NAME; alone, say which there are.",
    "/system": "Tell the model something first: /system TEXT; alone, take that away.",
    "/clear": "Begin anew; what the model is told first stays.",
    "/save": "Write the conversation: /save FILE, as JSON if it ends in .json, else as Markdown.",
    "/exit": "End, as an empty line and Ctrl-D do.",
}
WHO = {"system": "System", "user": "You"}


@dataclass(slots=True)
class Talk:
    """One conversation with a server's models."""

    server: Server
    model: str
    system: str = ""
    turns: list[Message] = field(default_factory=list)

    @property
    def messages(self) -> list[Message]:
        """All that the model is given, the oldest first."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return first + self.turns

    def add(self, role: str, content: str) -> None:
        """Go on with what somebody says."""
        self.turns.append({"role": role, "content": content})

    def command(self, line: str) -> str | None:
        """Do what a line with a slash says, and return what to print; None to end. Errors are words, too."""
        name, _, rest = line.partition(" ")
        try:
            return self._do(name, rest.strip())
        except ServerSaid as error:
            return error.message
        except OSError as error:
            return f"{rest.strip()}: {error.strerror or error}"

    def _do(self, name: str, rest: str) -> str | None:
        match name:
            case "/help":
                return f"{explained(COMMANDS)}\n  // at the beginning of a line says it with one slash"
            case "/model":
                return self._change(rest) if rest else _known(self.server, self.model)
            case "/system":
                self.system = rest
                return "the model is told that first" if rest else "the model is told nothing first"
            case "/clear":
                self.turns.clear()
                return "begun anew"
            case "/save":
                return self._save(Path(rest).expanduser()) if rest else "name a file: /save FILE"
            case "/exit" | "/quit" | "/bye":
                return None
            case _:
                return f"there is no {name}{meant(name, {each: each for each in COMMANDS})}; /help has them all"

    def _change(self, model: str) -> str:
        look(self.server, model)
        self.model = model
        return f"{model} answers from here on"

    def _save(self, file: Path) -> str:
        as_json = file.suffix == ".json"
        text = json.dumps(self.messages, indent=2, ensure_ascii=False) if as_json else as_markdown(self)
        with file.open("x", encoding="utf-8") as new:  # nothing of a person's own is written over
            new.write(f"{text}\n")
        return f"written to {file}"


def as_markdown(talk: Talk) -> str:
    """Return a conversation as people read it."""
    parts = [f"## {WHO.get(one['role'], talk.model)}\n\n{one['content'].strip()}" for one in talk.messages]
    return "\n\n".join(parts)


def look(server: Server, model: str) -> None:
    """Find out whether a model is there before anything is said. Raises ServerSaid when it is not.

    A key that may talk may not be one that may look: then the first answer says so.
    """
    try:
        server.ask("GET", f"/api/models/{path_of(model)}")
    except ServerSaid as error:
        if error.answered != 403:
            raise


def _known(server: Server, model: str) -> str:
    found: list[dict[str, Any]] = server.ask("GET", "/v1/models")["data"]
    return "\n".join([f"{model} answers; there are:", *(f"  {one['id']}" for one in found)])
