"""How does a test read a stream while other things happen?"""

from __future__ import annotations

import json
import threading
from typing import Any

from e2e.instance import Instance


class Streaming:
    """A stream that somebody reads."""

    def __init__(self, server: Instance, model: str, **orders: Any) -> None:
        self.begun = threading.Event()
        self.text = ""
        self._server, self._model, self._orders = server, model, orders
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        connection = self._server.connect()
        body = {"model": self._model, "stream": True, "messages": [], "fake": self._orders}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        while line := answer.readline():
            self.text += line.decode()
            self.begun.set()
        connection.close()

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()
