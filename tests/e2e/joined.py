"""How does a test have machines that join another one, each at an address of its own?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from e2e.instance import Answer, Instance, configured, fake, instance, until
from fakes.ports import free_port

X = f"models:\n  x: {{cmd: '{fake()}'}}\n"
NONE = "models:\n  z: {cmd: 'none ${PORT}'}\n"


@contextmanager
def one_joined(folder: Path, models: str) -> Iterator[Joined]:
    """Run a head without models, and a node with these that has joined it as `desk`; its `x` answers."""
    with ExitStack() as stack:
        found = Joined(folder, stack)
        found.start("head", NONE)
        found.start("node", models)
        found.join_well("node", "desk")
        found.until_up()
        yield found


class Joined:
    """A head at 127.0.0.1 and a node at 127.0.0.2, each in a folder of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        names = ("head", "node", "other")
        self.addresses = {name: f"127.0.0.{number}:{free_port()}" for number, name in enumerate(names, 1)}
        self.running: dict[str, Instance] = {}
        self.keys: dict[str, str] = {}

    def start(
        self, name: str, models: str, *argv: str, run_by: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> Instance:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = configured(folder, f"startPort: {free_port()}\n{models}")
        running = instance(
            folder, "--config", str(config), "--listen", self.addresses[name], *argv, run_by=run_by, env=env
        )
        self.running[name] = self._stack.enter_context(running)
        return self.running[name]

    @property
    def head(self) -> Instance:
        return self.running["head"]

    def ask(self, name: str, method: str, path: str, body: object = None) -> Answer:
        key = self.keys.get(name)
        return self.running[name].ask(method, path, body, {"Authorization": f"Bearer {key}"} if key else {})

    def invite(self) -> str:
        made = self.ask("head", "POST", "/api/nodes/invitations", {}).json
        assert made["line"].startswith("claracore join ")
        return str(made["line"].split()[-1])

    def write(self, name: str, models: str) -> None:
        """Give a running one another configuration, as an editor would."""
        path = self.folder / name / "config.yaml"
        kept = path.read_text().splitlines()[0]
        path.with_suffix(".new").write_text(f"{kept}\n{models}")
        path.with_suffix(".new").replace(path)

    def join(self, line: str, who: str = "node", **more: object) -> Answer:
        return self.ask(who, "POST", "/api/node/join", {"line": line, "name": "desk", **more})

    def join_well(self, who: str, name: str, **more: object) -> None:
        answer = self.join(self.invite(), who, name=name, **more)
        assert answer.status == 200, answer.body
        self.keys[who] = answer.json["admin_key"]

    def node(self, name: str = "desk") -> dict[str, Any] | None:
        rows = self.ask("head", "GET", "/api/nodes").json["nodes"]
        return next((row for row in rows if row["name"] == name), None)

    def until_up(self) -> None:
        until(lambda: (self.node() or {}).get("state") == "up" and self.head.chat("x").status == 200)
