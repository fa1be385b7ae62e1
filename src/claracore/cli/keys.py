"""`claracore keys`: who may call, and what.

Works on the key file of this user, with or without a running server (which takes changes over within two seconds).
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from claracore.cli.client import JsonOption, show_json
from claracore.cli.ports import table
from claracore.core.config.fields import parse_seconds
from claracore.errors import BadRequest
from claracore.host.state import default_state_dir, needed_state_dir
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import NamedKey, Right

keys_app = typer.Typer(no_args_is_help=True, help="Keys with scopes: inference, read, admin.")


@keys_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What to call the key in logs and activity.")],
    scope: Annotated[list[Right] | None, typer.Option(help="May be given more than once; inference if not.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only this model id; may be given more than once.")] = None,
    expires: Annotated[str | None, typer.Option(help="After this time: 12h, 30d, or a date 2027-01-31.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once. From the first key on, every call needs one."""
    file = KeyFile(needed_state_dir())
    first = not file.load()
    rights = scope or [Right.INFERENCE]
    text, key = file.add(name, rights, models=model, expires_at=moment(expires) if expires else None)
    if as_json:
        show_json({**key.as_json(), "key": text})
        return
    typer.echo(text)
    typer.echo(f"keep it: it is not shown again. {name!r} may: {', '.join(sorted(key.rights))}", err=True)
    if first and Right.ADMIN not in key.rights:
        typer.echo("no key has the scope admin: nobody can administer; add one with --scope admin", err=True)


@keys_app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys, without the keys."""
    found = KeyFile(default_state_dir()).load()
    if as_json:
        show_json([key.as_json() for key in found])
    elif found:
        typer.echo("\n".join(table(("name", "scopes", "models", "made", "expires"), [_cells(key) for key in found])))
    else:
        typer.echo("there are no named keys")


@keys_app.command("remove")
def remove(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """Take a key away."""
    KeyFile(needed_state_dir()).remove(name)
    typer.echo(f"{name} is removed; a running server refuses it within two seconds")


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
    return [key.name, ", ".join(sorted(key.rights)), models, _day(key.created_at), expires]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
