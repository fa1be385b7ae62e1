"""`claracore nodes invite`, `claracore join`, `claracore leave`: how does a machine answer requests for another one?"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any
from urllib.parse import quote

from claracore.cli.client import JSON, URL, Server, running_server, show_json
from claracore.cli.serve_options import TAKES, ServeOptions
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, flag, option, word
from claracore.core.cluster.invitation import read_line
from claracore.errors import BadRequest, ClaraCoreError

JOIN_SECONDS = 60.0


def invite(*, address: str, url: str | None, as_json: bool) -> None:
    """Print a line to be typed on another machine, which then joins this one; good once, for 15 minutes."""
    made = Server(url).ask("POST", "/api/nodes/invitations", {"address": address})
    if as_json:
        show_json(made)
        return
    say(made["line"])
    for advice in made["advice"]:
        say(advice, err=True)


def forget(*, name: str, url: str | None) -> None:
    """Have a machine that has joined be none of ours, and tell it so."""
    found = Server(url).ask("DELETE", f"/api/nodes/{quote(name, safe='')}", timeout_seconds=JOIN_SECONDS)
    if untold := found["untold"]:
        say(f"{name} is forgotten here; it could not be told: {untold}")
        say(
            "it finds out when it reaches this machine again; to have it leave before, unless it has joined another one"
        )
        say("meanwhile (`claracore nodes` there says so), type there: claracore leave")
    else:
        say(f"{name} is forgotten, and knows it: our key there is removed, and what came from here")
    if found["had_ray_token"]:
        say(
            "Ray's token, which it has had, is still good: how to change it, if it is not to be trusted, is in",
            err=True,
        )
        say("docs/machines.md, Changing Ray's token", err=True)


def leave(*, url: str | None) -> None:
    """Have this machine leave the one that it has joined: its key here is removed, Ray ends, and it forgets us."""
    left = Server(url).ask("POST", "/api/node/leave", {}, timeout_seconds=JOIN_SECONDS)
    say(f"this machine is {left['name']} of {left['url']} no more")
    if left["untold"]:
        say(f"it could not be told: {left['untold']}; type there: claracore nodes forget {left['name']}", err=True)


def drain(*, name: str, url: str | None) -> None:
    """Send a machine no new requests; what is with it ends there."""
    Server(url).ask("PUT", f"/api/nodes/{quote(name, safe='')}/drained")
    say(f"{name} gets no new requests; `claracore nodes use {name}` undoes it")


def use(*, name: str, url: str | None) -> None:
    """Send a machine requests again."""
    Server(url).ask("DELETE", f"/api/nodes/{quote(name, safe='')}/drained")
    say(f"{name} gets requests again")


def join(
    *,
    line: str,
    name: str,
    address: str,
    requests_only: bool,
    url: str | None,
    **chosen: Any,  # noqa: ANN401 - of ServeOptions
) -> None:
    """Have this machine answer requests for another one, which has invited it; serve first if nobody does here.

    Where a ClaraCore runs here, that one joins; else one is started, with the options that `claracore serve` takes.
    """
    try:
        read = read_line(line)
    except ValueError as error:
        raise BadRequest(str(error), param="line") from error
    wish = {"line": line, "name": name, "address": address, "requests_only": requests_only}
    server = running_server(url)
    if server is not None:
        _join(server, wish)
        return
    from claracore.cli.serve import serve  # noqa: PLC0415 - not where one serves already
    from claracore.host.cluster.join_exchange import ask_head  # noqa: PLC0415 - its client of HTTP takes a while
    from claracore.host.cluster.versions import own_versions  # noqa: PLC0415 - as above

    asyncio.run(ask_head(read, own_versions(), None))  # before anything is served

    def once_served(own_url: str) -> None:
        threading.Thread(target=_join_or_say, args=(Server(own_url), wish), name="join", daemon=True).start()

    serve(ServeOptions(**chosen), once_served)


def _join_or_say(server: Server, wish: dict[str, Any]) -> None:
    try:
        _join(server, wish)
    except ClaraCoreError as error:
        say(f"claracore: not joined, and so not serving: {error.message}", err=True)
        os.kill(os.getpid(), signal.SIGTERM)


def _join(server: Server, wish: dict[str, Any]) -> None:
    made = server.ask("POST", "/api/node/join", wish, timeout_seconds=JOIN_SECONDS)
    say(f"this machine is {made['name']} of {made['head']} now")
    for advice in made["advice"]:
        say(advice, err=True)
    if made["admin_key"]:
        say("from now on every call here needs a key. Yours, which is not shown again:", err=True)
        say(made["admin_key"])


NAME = word(about="The machine, as `claracore nodes` lists it.")
ADDRESS = option("--address", about="Under which host name or address the other machine reaches this one.", default="")
VERBS_OF_HEAD = {
    "invite": Verb(invite, {"address": ADDRESS, "url": URL, "as_json": JSON}),
    "drain": Verb(drain, {"name": NAME, "url": URL}),
    "use": Verb(use, {"name": NAME, "url": URL}),
    "forget": Verb(forget, {"name": NAME, "url": URL}),
}
LEAVE = Verb(leave, {"url": URL})
_LISTEN = option("--listen", about="Address to serve on, where nobody serves here yet.", default=":5800")
JOIN = Verb(
    join,
    {
        "line": word(about="https://HEAD:5800#TOKEN, as `claracore nodes invite` prints it there."),
        "name": option("--name", about="What to call this machine there, instead of its host name.", default=""),
        "address": ADDRESS,
        "requests_only": flag(
            "--requests-only", about="Let the other machine use models here, and give this one none of its own."
        ),
        "url": URL,
        **TAKES,
        "listen": _LISTEN,
    },
)
