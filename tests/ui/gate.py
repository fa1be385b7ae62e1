"""When does an answer come to the page? When the test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import APIResponse, Page, Request, Route


class Gate:
    """The next request of a page that is `wanted`: the server has answered it, and the page does not know it yet."""

    def __init__(self, page: Page, wanted: Callable[[Request], bool]) -> None:
        """Hold it from now on."""
        self._page = page
        self._wanted = wanted
        self._route: Route | None = None
        self._answer: APIResponse | None = None
        page.route("**", self._came)

    def _came(self, route: Route) -> None:
        if self._route is None and self._wanted(route.request):
            self._route = route
            self._answer = route.fetch()
        else:
            route.fallback()

    @contextmanager
    def closes(self) -> Iterator[None]:
        """Wait, after what is done in the block, until it is answered and held."""
        with self._page.expect_request(self._wanted):
            yield
        while self._answer is None:
            self._page.evaluate("1")  # What the browser tells is heard while it is asked.

    def open(self, *, status: int | None = None) -> None:
        """Give the page what was held, or another status with it, and look at the page once more after that."""
        assert self._route is not None
        assert self._answer is not None
        self._route.fulfill(response=self._answer, status=status)
        self._page.evaluate("async () => { await fetch('/health'); }")


def to(path: str, method: str = "GET") -> Callable[[Request], bool]:
    """Find requests to a path, with whatever query."""
    return lambda request: request.method == method and request.url.split("?")[0].endswith(path)
