"""`claracore keys`: who may call, and what.

Works on the key file of this user, with or without a running server (which takes changes over within two seconds); with
`--url` on the keys of that server, for which CLARACORE_API_KEY must be one with the scope admin.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from claracore.cli.client import JSON, Server, show_json
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup, many, option, within, word
from claracore.core.config.durations import parse_seconds
from claracore.core.key_limits import MOST, MOST_REQUESTS, KeyLimits
from claracore.errors import BadRequest
from claracore.host.state import default_state_dir, needed_state_dir
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right


def add(
    *,
    name: str,
    scope: list[Right] | None,
    model: list[str] | None,
    expires: str | None,
    requests_per_minute: int | None,
    tokens_per_day: int | None,
    concurrency: int | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it, once. From the first key on, every call needs one."""
    limits = KeyLimits(requests_per_minute, tokens_per_day, concurrency)
    rights, expires_at = scope or [Right.INFERENCE], moment(expires) if expires else None
    if url is not None:
        wish = {"name": name, "scopes": rights, "models": model, "expires_at": expires_at, "limits": limits.as_json()}
        server = Server(url)
        first = not server.ask("GET", "/api/keys")["keys"]
        made = server.ask("POST", "/api/keys", wish)
    else:
        file = KeyFile(needed_state_dir())
        first = not file.load()
        text, key = file.add(name, rights, models=model, expires_at=expires_at, limits=limits)
        made = {**key.as_json(), "key": text}
    if as_json:
        show_json(made)
        return
    say(made["key"])
    say(f"keep it: it is not shown again. {name!r} may: {', '.join(sorted(made['scopes']))}", err=True)
    if first and Right.ADMIN not in made["scopes"]:
        say("no key has the scope admin: nobody can administer; add one with --scope admin", err=True)


def list_keys(*, url: str | None, as_json: bool) -> None:
    """List the keys, without the keys."""
    if url is not None:
        found = Server(url).ask("GET", "/api/keys")["keys"]
    else:
        found = [key.as_json() for key in KeyFile(default_state_dir()).load()]
    if as_json:
        show_json(found)
    elif found:
        say("\n".join(table(("name", "scopes", "models", "limits", "made", "expires"), [_cells(key) for key in found])))
    else:
        say("there are no named keys")


def limit(
    *,
    name: str,
    requests_per_minute: int | None,
    tokens_per_day: int | None,
    concurrency: int | None,
    url: str | None,
) -> None:
    """Give a key other limits; what is not given is without limit from then on."""
    limits = KeyLimits(requests_per_minute, tokens_per_day, concurrency)
    if url is not None:
        Server(url).ask("PUT", f"/api/keys/{quote(name, safe='')}/limits", limits.as_json())
        say(f"{name}: {shown_limits(limits)}")
    else:
        KeyFile(needed_state_dir()).limit(name, limits)
        say(f"{name}: {shown_limits(limits)}; a running server goes by it within two seconds")


def shown_limits(limits: KeyLimits) -> str:
    """Return limits in words."""
    words = (
        (limits.requests_per_minute, "requests a minute"),
        (limits.tokens_per_day, "tokens a day"),
        (limits.concurrency, "at a time"),
    )
    return ", ".join(f"{number:,} {what}" for number, what in words if number is not None) or "none"


def remove(*, name: str, url: str | None) -> None:
    """Take a key away."""
    if url is not None:
        Server(url).ask("DELETE", f"/api/keys/{quote(name, safe='')}")
        say(f"{name} is removed")
    else:
        KeyFile(needed_state_dir()).remove(name)
        say(f"{name} is removed; a running server refuses it within two seconds")


def moment(text: str) -> float:
    """Return the unix time that `12h`, `30d` (from now) or a date means. Raises BadRequest."""
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    try:
        return time.time() + parse_seconds(text)
    except ValueError as error:
        raise BadRequest(f"--expires {text!r}: write 12h, 30d or 2027-01-31") from error


def _cells(key: dict[str, Any]) -> list[str]:
    expires_at = key["expires_at"]
    ended = " (over)" if expires_at is not None and expires_at <= time.time() else ""
    return [
        key["name"],
        ", ".join(sorted(key["scopes"])),
        "all" if key["models"] is None else ", ".join(key["models"]),
        shown_limits(KeyLimits(**key["limits"])),
        _day(key["created_at"]),
        "never" if expires_at is None else f"{_day(expires_at)}{ended}",
    ]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


LIMITS = {
    "requests_per_minute": option(
        "--requests-per-minute", about="At most so many requests in any minute.", kind=within(1, MOST_REQUESTS)
    ),
    "tokens_per_day": option(
        "--tokens-per-day", about="At most so many tokens, read and written, in a day of UTC.", kind=within(1, MOST)
    ),
    "concurrency": option("--concurrency", about="At most so many requests at a time.", kind=within(1, MOST)),
}
URL = option("--url", about="Work on the keys of the server at this address, instead of this user's file.")
ADD = {
    "name": word(about="What to call the key in logs and activity."),
    "scope": many(
        "--scope",
        about=f"{', '.join(Right)}; may be given more than once; inference if not.",
        kind=Right,
        choices=list(Right),
    ),
    "model": many("--model", about="Only this model id; may be given more than once."),
    "expires": option("--expires", about="After this time: 12h, 30d, or a date 2027-01-31."),
    **LIMITS,
    "url": URL,
    "as_json": JSON,
}
KEYS = VerbGroup(
    "Keys with scopes: inference, read, node, admin.",
    {
        "add": Verb(add, ADD),
        "limit": Verb(limit, {"name": word(about="The key's name."), **LIMITS, "url": URL}),
        "list": Verb(list_keys, {"url": URL, "as_json": JSON}),
        "remove": Verb(remove, {"name": word(about="The key's name."), "url": URL}),
    },
)
