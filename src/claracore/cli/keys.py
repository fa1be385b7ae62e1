"""`claracore keys`: who may call, and what.

Works on the key file of this user, with or without a running server (which takes changes over within two seconds).
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime

from claracore.cli.client import JSON, show_json
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, VerbGroup, many, option, within, word
from claracore.core.config.durations import parse_seconds
from claracore.core.key_limits import MOST, MOST_REQUESTS, KeyLimits
from claracore.errors import BadRequest
from claracore.host.state import default_state_dir, needed_state_dir
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import NamedKey, Right


def add(
    *,
    name: str,
    scope: list[Right] | None,
    model: list[str] | None,
    expires: str | None,
    requests_per_minute: int | None,
    tokens_per_day: int | None,
    concurrency: int | None,
    as_json: bool,
) -> None:
    """Make a key and print it, once. From the first key on, every call needs one."""
    limits = KeyLimits(requests_per_minute, tokens_per_day, concurrency)
    file = KeyFile(needed_state_dir())
    first = not file.load()
    rights = scope or [Right.INFERENCE]
    text, key = file.add(name, rights, models=model, expires_at=moment(expires) if expires else None, limits=limits)
    if as_json:
        show_json({**key.as_json(), "key": text})
        return
    say(text)
    say(f"keep it: it is not shown again. {name!r} may: {', '.join(sorted(key.rights))}", err=True)
    if first and Right.ADMIN not in key.rights:
        say("no key has the scope admin: nobody can administer; add one with --scope admin", err=True)


def list_keys(*, as_json: bool) -> None:
    """List the keys, without the keys."""
    found = KeyFile(default_state_dir()).load()
    if as_json:
        show_json([key.as_json() for key in found])
    elif found:
        say("\n".join(table(("name", "scopes", "models", "limits", "made", "expires"), [_cells(key) for key in found])))
    else:
        say("there are no named keys")


def limit(*, name: str, requests_per_minute: int | None, tokens_per_day: int | None, concurrency: int | None) -> None:
    """Give a key other limits; what is not given is without limit from then on."""
    key = KeyFile(needed_state_dir()).limit(name, KeyLimits(requests_per_minute, tokens_per_day, concurrency))
    say(f"{name}: {shown_limits(key.limits)}; a running server goes by it within two seconds")


def shown_limits(limits: KeyLimits) -> str:
    """Return limits in words."""
    words = (
        (limits.requests_per_minute, "requests a minute"),
        (limits.tokens_per_day, "tokens a day"),
        (limits.concurrency, "at a time"),
    )
    return ", ".join(f"{number:,} {what}" for number, what in words if number is not None) or "none"


def remove(*, name: str) -> None:
    """Take a key away."""
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


def _cells(key: NamedKey) -> list[str]:
    models = "all" if key.models is None else ", ".join(sorted(key.models))
    ended = " (over)" if key.grant.expired(time.time()) else ""
    expires = "never" if key.expires_at is None else _day(key.expires_at) + ended
    return [key.name, ", ".join(sorted(key.rights)), models, shown_limits(key.limits), _day(key.created_at), expires]


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
    "as_json": JSON,
}
KEYS = VerbGroup(
    "Keys with scopes: inference, read, admin.",
    {
        "add": Verb(add, ADD),
        "limit": Verb(limit, {"name": word(about="The key's name."), **LIMITS}),
        "list": Verb(list_keys, {"as_json": JSON}),
        "remove": Verb(remove, {"name": word(about="The key's name.")}),
    },
)
