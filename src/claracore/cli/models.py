"""`claracore ps`, `load` and `unload`: which models run, and making them run or stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from claracore.cli.client import JSON, MODEL, TIMEOUT_SECONDS, URL, Server, complete_model, path_of, show_json
from claracore.cli.conversations import conversation_lines
from claracore.cli.memory_bars import memory_bars
from claracore.cli.terminal import say, table
from claracore.cli.verb import Verb, flag, word
from claracore.core.units import MIB, counted, lasting

LOAD_SECONDS = 3600.0
"""A model may take long; the server knows when to give up."""
QUIET_SECONDS = 1.0
"""So long nothing is said of answers that are waited for."""


def ps(*, every: bool, verbose: bool, url: str | None, as_json: bool) -> None:
    """List the models that run: state, port, memory, requests, time left; and who takes how much of each device."""
    server = Server(url)
    models = server.ask("GET", "/api/models")["models"]
    shown = [model for model in models if every or model["state"] != "stopped"]
    if as_json:
        show_json(shown)
    elif not shown:
        say(f"none of the {len(models)} models runs" if models else "no models are configured")
    else:
        bars = memory_bars(server.ask("GET", "/api/memory")["devices"])
        more = conversation_lines(shown) if verbose else []
        say("\n".join([*table(HEAD, [model_cells(model) for model in shown]), "", *bars, *more]))


HEAD = ("model", "state", "port", "pid", "memory", "load", "serving", "waiting", "ttl left", "")


def model_cells(model: dict[str, Any]) -> list[str]:
    """Return a model as cells of a table."""
    left = model["ttl_left_seconds"]
    progress = f" {model['progress']:.0%}" if model["progress"] is not None else ""
    notes = [note for note in ("pinned", "asleep") if model[note]]
    notes += [f"started with {model['lessened']}: memory was short"] if model["lessened"] else []
    notes += [model["failure"]["cause"]] if model["failure"] else []
    return [
        model["id"],
        f"{model['state']}{progress}",
        _cell(model["port"]),
        _cell(model["pid"]),
        f"{model['memory_bytes'] / MIB:.0f} MiB" if model["memory_bytes"] else "-",
        f"{model['load_seconds']:.1f} s" if model["load_seconds"] is not None else "-",
        str(model["serving"]),
        str(model["waiting"]),
        lasting(left) if left is not None else "-",
        "; ".join(notes),
    ]


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def load(*, model: str, url: str | None, as_json: bool) -> None:
    """Load a model, and wait until it is ready."""
    server = Server(url)
    if as_json:
        show_json(_load(server, model))
        return
    from claracore.cli.failure_shown import failures_explained  # noqa: PLC0415 - for this verb only

    with failures_explained(server, model):
        done = _watched(server, model)
    place = done.get("node") or (f"port {done['port']}" if done["port"] else "")
    where = f" on {place}" if place else ""
    say(f"{done['model']} is {done['state']}{where} after {done['seconds']:.1f} s")


def _load(server: Server, model: str) -> dict[str, Any]:
    done: dict[str, Any] = server.ask("POST", f"/api/models/load/{path_of(model)}", timeout_seconds=LOAD_SECONDS)
    return done


def _watched(server: Server, model: str) -> dict[str, Any]:
    """Load a model, and show how that goes."""
    from concurrent.futures import Future, wait  # noqa: PLC0415 - for this verb only

    from claracore.cli.load_shown import load_meter  # noqa: PLC0415 - as above
    from claracore.cli.waiting import LOOK_SECONDS, LOOK_TIMEOUT_SECONDS  # noqa: PLC0415 - as above

    loading: Future[dict[str, Any]] = Future()

    def load_it() -> None:
        try:
            loading.set_result(_load(server, model))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            loading.set_exception(error)

    # A daemon: who presses Ctrl-C does not wait for the load.
    Thread(target=load_it, name="load", daemon=True).start()
    try:
        with load_meter() as show:
            while not wait({loading}, LOOK_SECONDS).done:
                found = server.asked(f"/api/models/{path_of(model)}", timeout_seconds=LOOK_TIMEOUT_SECONDS)
                if found is not None and found["state"] != "ready":
                    show(found)
    except KeyboardInterrupt:
        say(f"\nthe server goes on loading {model}; claracore unload {model} ends that", err=True)
        raise
    return loading.result()


def unload(*, models: list[str], url: str | None, as_json: bool) -> None:
    """Unload models, and wait until they are gone."""
    server = Server(url)
    stopped = [model for model in models if _is_stopped(server, model)]
    unloaded = [model for model in models if model not in stopped]
    paths = [f"/api/models/unload/{path_of(model)}" for model in models] or ["/api/models/unload"]
    for path in paths:
        with _waiting_said(server, models):
            server.ask("POST", path, timeout_seconds=LOAD_SECONDS)
    if as_json:
        show_json({"unloaded": unloaded if models else "all", "not_loaded": stopped})
        return
    if unloaded or not models:
        say(f"unloaded {', '.join(unloaded) or 'all models'}")
    for model in stopped:
        say(f"{model} was not loaded")


@contextmanager
def _waiting_said(server: Server, models: list[str]) -> Iterator[None]:
    """Say on stderr for whose answers it is waited, where that takes longer than a moment."""
    over = Event()

    def say_it() -> None:
        if over.wait(QUIET_SECONDS):
            return
        found = server.asked("/api/models", timeout_seconds=TIMEOUT_SECONDS)
        rows = [row for row in (found or {"models": ()})["models"] if row["serving"]]
        named = [row for row in rows if not models or {row["id"], *row["aliases"]} & set(models)]
        busy = " and ".join(f"{counted(row['serving'], 'answer')} of {row['id']}" for row in named)
        if busy and not over.is_set():
            say(f"waiting for {busy} to end, for as long as `unloadTimeout` allows", err=True)

    watcher = Thread(target=say_it, name="unload", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()


def _is_stopped(server: Server, model: str) -> bool:
    """Whether the server says so; where it says nothing, unloading tells why."""
    found = server.asked(f"/api/models/{path_of(model)}", timeout_seconds=TIMEOUT_SECONDS)
    return isinstance(found, dict) and found.get("state") == "stopped"


PS = Verb(
    ps,
    {
        "every": flag("--all", "-a", about="The stopped models too."),
        "verbose": flag("--verbose", "-v", about="What is kept of their conversations, and what that has brought."),
        "url": URL,
        "as_json": JSON,
    },
)
LOAD = Verb(load, {"model": MODEL, "url": URL, "as_json": JSON})
UNLOAD = Verb(
    unload,
    {
        "models": word(about="Ids or aliases; all models if none is named.", complete=complete_model, nargs="*"),
        "url": URL,
        "as_json": JSON,
    },
)
