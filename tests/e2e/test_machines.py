"""Three ClaraCores at three addresses: one of them dies with requests in it, and nobody who asks the first notices.

A model `x` that two machines have and the first has not, and a model `y` that one has.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import Answer, Instance, configured, fake, instance, until
from e2e.ports import claracore
from e2e.streaming import Streaming
from fakes.ports import free_port

WAITING = 20
SECONDS = 5.0
"""How long anything here may take that follows from a death or a return."""


class Machines:
    """The first machine, which clients know, and two others that it follows."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.addresses = {name: f"127.0.0.{number}:{free_port()}" for number, name in enumerate(("b", "c"), 2)}
        self.running: dict[str, Instance] = {}

    def start(self, name: str, models: str, more: str = "", *argv: str) -> Instance:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = configured(folder, f"startPort: {free_port()}\nmodels:\n{models}\n{more}")
        listen = ("--listen", self.addresses[name]) if name in self.addresses else ()
        self.running[name] = self._stack.enter_context(instance(folder, "--config", str(config), *listen, *argv))
        return self.running[name]

    def start_head(self, more: str = "", models: str = "  z: {cmd: 'none ${PORT}'}") -> Instance:
        peers = "".join(
            f"  {name}: {{proxy: 'http://{address}', models: auto}}\n" for name, address in self.addresses.items()
        )
        return self.start("a", models, f"peers:\n{peers}{more}")

    @property
    def head(self) -> Instance:
        return self.running["a"]

    def node(self, name: str) -> dict[str, Any]:
        rows = self.head.ask("GET", "/api/nodes").json["nodes"]
        found: dict[str, Any] = next(row for row in rows if row["name"] == name)
        return found

    def until_state(self, name: str, state: str) -> None:
        until(lambda: bool(self.node(name)["state"] == state))

    def kill(self, name: str) -> None:
        """End a machine as a power cut does: everything of it at once."""
        children = self.running[name].children()
        self.running[name].process.kill()
        for child in children:
            child.kill()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with ExitStack() as stack:
        yield Machines(tmp_path, stack)


def listed(server: Instance) -> set[str]:
    return {row["id"] for row in server.ask("GET", "/v1/models").json["data"]}


@contextmanager
def timed(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def at_once(ask: Callable[[], Answer], count: int) -> tuple[ThreadPoolExecutor, list[Any]]:
    pool = ThreadPoolExecutor(count)
    return pool, [pool.submit(ask) for _ in range(count)]


def test_a_machine_dies_with_requests_in_it_and_comes_back(machines: Machines) -> None:
    machines.start("b", f"  x: {{cmd: '{fake('--hang', 'answer')}'}}\n  y: {{cmd: '{fake()}'}}", TOGETHER)
    machines.start("c", f"  x: {{cmd: '{fake()}'}}")
    head = machines.start_head("placement: {avoid: [c]}\n")
    until(lambda: {"x", "b/x", "c/x", "y", "b/y"} <= listed(head))
    stream = Streaming(head, "y", chunks=9, hold_after=2)
    assert stream.begun.wait(60)
    pool, asked = at_once(lambda: head.chat("x"), WAITING)
    with pool:
        until(lambda: bool(machines.node("b")["requests"] == WAITING + 1))
        with timed(SECONDS):
            machines.kill("b")
            answers = [each.result(60) for each in asked]
            assert stream.ended(60)
    assert [answer.status for answer in answers] == [200] * WAITING
    assert "machine 'b'" in stream.text
    assert "[DONE]" not in stream.text
    machines.until_state("b", "lost")
    until(lambda: bool(machines.node("c")["loaded"] == ["x"]))
    # A request that names the machine hears that it is lost; the models stay listed.
    refused = head.chat("b/x")
    assert (refused.status, refused.json["error"]["code"]) == (503, "machine_lost")
    assert "b/x" in listed(head)

    back = machines.start("b", f"  x: {{cmd: '{fake()}'}}\n  y: {{cmd: '{fake()}'}}", TOGETHER)
    assert back.chat("x").status == 200
    # Models are served before it can say what it has: on a busy machine its start goes on for seconds.
    assert back.ask("GET", "/api/node").status == 200
    with timed(SECONDS):
        until(lambda: bool(machines.node("b")["loaded"] == ["x"]))
        assert head.chat("b/x").status == 200
        assert head.chat("x").status == 200
    assert machines.node("b")["state"] == "up"
    assert places(head, "x")[0] == "b: it is loaded there and free"


TOGETHER = "groups: {all: {swap: false, members: [x, y]}}\n"


def test_the_models_of_a_machine_that_is_away_are_known_after_a_start(machines: Machines) -> None:
    known = machines.folder / "a/state/claracore/models-of-machines.json"
    machines.start("b", f"  x: {{cmd: '{fake()}'}}")
    head = machines.start_head()
    until(lambda: "b/x" in listed(head) and known.exists())
    machines.kill("b")
    assert head.end() == 0
    head = machines.start_head()
    until(lambda: "b/x" in listed(head))
    machines.until_state("b", "lost")
    refused = head.chat("x")
    assert (refused.status, refused.json["error"]["code"]) == (503, "machine_lost")
    machines.start("b", f"  x: {{cmd: '{fake()}'}}")
    until(lambda: head.chat("x").status == 200)


def places(head: Instance, name: str) -> list[str]:
    return [row["reason"] for row in head.ask("GET", f"/api/places/{name}").json["places"]]


def test_a_machine_that_hangs_is_told_from_one_that_is_dead(machines: Machines) -> None:
    machines.start("b", f"  x: {{cmd: '{fake()}'}}")
    machines.start("c", f"  x: {{cmd: '{fake()}'}}")
    head = machines.start_head()
    until(lambda: {"b/x", "c/x"} <= listed(head))
    machines.running["b"].process.send_signal(signal.SIGSTOP)
    try:
        machines.until_state("b", "silent")
        assert head.chat("x").status == 200
        machines.until_state("b", "lost")
    finally:
        machines.running["b"].process.send_signal(signal.SIGCONT)
    machines.until_state("b", "up")
    assert head.chat("b/x").status == 200


def test_two_machines_that_name_each_other_list_no_more_than_there_is(machines: Machines) -> None:
    follows = "peers:\n  {}: {{proxy: 'http://{}', models: auto}}\n"
    machines.start("b", f"  x: {{cmd: '{fake()}'}}", follows.format("c", machines.addresses["c"]))
    machines.start(
        "c", f"  x: {{cmd: '{fake()}'}}\n  y: {{cmd: '{fake()}'}}", follows.format("b", machines.addresses["b"])
    )
    first, second = machines.running["b"], machines.running["c"]
    until(lambda: listed(first) == {"x", "c/x", "c/y", "y"} and listed(second) == {"x", "y", "b/x"})
    # What one has sent on is answered there, and does not come back.
    assert first.chat("c/x").status == 200
    assert [server.running().get("x") is not None for server in (first, second)] == [False, True]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")
def test_a_machine_with_a_certificate_of_its_own_is_known_by_its_fingerprint(machines: Machines) -> None:
    pem, key = machines.folder / "cert.pem", machines.folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, "-days", "2", "-subj", "/CN=b", "-keyout", key, "-out", pem], check=True, timeout=60)
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).hexdigest()
    machines.start("b", f"  x: {{cmd: '{fake()}'}}", "", "--tls-cert", str(pem), "--tls-key", str(key))
    address = machines.addresses["b"]
    peers = "".join(
        f"  {name}: {{proxy: 'https://{address}', models: auto, fingerprint: '{text}'}}\n"
        for name, text in (("b", fingerprint), ("other", "0" * 64))
    )
    head = machines.start("a", "  z: {cmd: 'none ${PORT}'}", f"peers:\n{peers}")
    until(lambda: "b/x" in listed(head))
    assert head.chat("x").status == 200
    machines.until_state("other", "lost")
    assert fingerprint in machines.node("other")["why"]


def test_a_name_goes_to_where_it_is_loaded_and_selectors_mix_machines(machines: Machines) -> None:
    machines.start("b", f"  x: {{cmd: '{fake('--alias', 'of b')}'}}")
    machines.start("c", f"  x: {{cmd: '{fake('--alias', 'of c')}'}}")
    selectors = "selectors:\n  warm: {strategy: warm, targets: [x, b/x, c/x]}\n"
    head = machines.start_head(selectors, f"  x: {{cmd: '{fake('--alias', 'of a')}'}}")
    until(lambda: {"b/x", "c/x"} <= listed(head))
    assert head.chat("c/x").status == 200
    until(lambda: bool(machines.node("c")["loaded"] == ["x"]))
    assert [head.chat(name).json["model"] for name in ("x", "warm")] == ["of c", "of c"]
    assert head.running()["c/x"]["state"] == "ready"
    assert "x" not in head.running()


def test_a_model_is_loaded_and_unloaded_where_it_is(machines: Machines) -> None:
    machines.start("b", f"  x: {{cmd: '{fake()}'}}\n  broken: {{cmd: 'false ${{PORT}}'}}")
    machines.start("c", f"  x: {{cmd: '{fake()}'}}")
    of_c = machines.running["c"]
    first = of_c.ask("POST", "/api/keys", {"name": "owner", "scopes": ["admin"]}).json["key"]
    wish = {"name": "head", "scopes": ["inference", "read"]}
    key = of_c.ask("POST", "/api/keys", wish, {"Authorization": f"Bearer {first}"}).json["key"]
    peers = "".join(
        f"  {name}: {{proxy: 'http://{address}', models: auto, apiKey: '{key}'}}\n"
        for name, address in machines.addresses.items()
    )
    head = machines.start("a", "  z: {cmd: 'none ${PORT}'}", f"peers:\n{peers}")
    until(lambda: {"b/x", "c/x"} <= listed(head))
    for name in ("b", "c"):
        loaded = head.ask("POST", f"/api/models/load/{name}/x")
        assert (loaded.status, loaded.json["state"]) == (200, "ready")
        assert (loaded.json["node"], loaded.json["port"]) == (name, None)
        until(lambda name=name: bool(machines.node(name)["loaded"] == ["x"]))  # type: ignore[misc]
    assert machines.running["b"].running()["x"]["state"] == "ready"
    assert head.ask("POST", "/api/models/unload/b/x").status == 200
    assert "x" not in machines.running["b"].running()
    # A key for inference may load, and not unload.
    refused = head.ask("POST", "/api/models/unload/c/x")
    assert refused.status == 502
    assert "admin" in refused.json["error"]["message"]
    failed = head.ask("POST", "/api/models/load/b/broken")
    assert failed.status == 502
    assert "'b'" in failed.json["error"]["message"]
    # A name that both have, and this machine has not, is the best place's.
    assert head.ask("POST", "/api/models/load/x").json["model"] == "c/x"


def test_a_machine_that_announces_itself_is_proposed_and_not_connected_to(machines: Machines) -> None:
    announced = machines.start("b", f"  x: {{cmd: '{fake()}'}}", "", "--announce")
    silent = machines.start("c", f"  x: {{cmd: '{fake()}'}}")
    announced.line("announced on the network as")
    found = json.loads(
        claracore(silent.folder, "nodes", "find", "--url", silent.url, "--seconds", "1", "--json").stdout
    )
    assert [row["peer"] for row in found if row["url"] == announced.url] == [None]
    lines = claracore(silent.folder, "nodes", "find", "--url", silent.url, "--seconds", "1").stdout
    assert f"proxy: {announced.url}\n    models: auto" in lines
    assert silent.ask("GET", "/api/nodes").json["nodes"][1:] == []
    # It does not propose itself.
    assert announced.url not in claracore(announced.folder, "nodes", "find", "--url", announced.url).stdout
