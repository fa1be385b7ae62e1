"""How does a verb say what its answer waits for, while it has asked a model for one?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from claracore.cli.client import Server, path_of
from claracore.cli.load_shown import load_meter

LOOK_SECONDS, LOOK_TIMEOUT_SECONDS = 0.25, 5.0
"""How often is it looked how a load goes, and for how long is that waited for?"""


@contextmanager
def waiting_shown(server: Server, model: str) -> Iterator[Callable[[], None]]:
    """Show on stderr how the load of a model goes, until what this gives is called: then the answer has begun.

    Where whoever asks may not look (a key without the right to read), nothing is shown.
    """
    over = Event()
    watcher = Thread(target=_watch, args=(server, model, over), name="load", daemon=True)
    watcher.start()

    def end() -> None:
        over.set()
        watcher.join()

    try:
        yield end
    finally:
        end()


def _watch(server: Server, model: str, over: Event) -> None:
    if over.wait(LOOK_SECONDS):  # a model that is loaded has answered, and rich is not imported
        return
    with load_meter() as show:
        while not over.is_set():
            found = server.asked(f"/api/models/{path_of(model)}", timeout_seconds=LOOK_TIMEOUT_SECONDS)
            if found is None:
                return
            if not over.is_set() and found["state"] != "ready":
                show(found)
            over.wait(LOOK_SECONDS)
