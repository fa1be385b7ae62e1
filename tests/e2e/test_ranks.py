"""Several machines run one model together: all of them or none, and nobody is left behind.

Three ClaraCores at three addresses, and a server that needs all its ranks, as vLLM's `--nnodes` does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from e2e.instance import Answer, Instance, configured, fake, gone, instance, until
from e2e.streaming import Streaming
from fakes.ports import free_port

SCRIPT = Path(__file__).parents[1] / "fakes" / "fake_ranks.py"
NONE = "  z: {cmd: 'none ${PORT}'}\n"
MEETS = "--nnodes ${NODES} --node-rank ${RANK} --master-addr ${MASTER_ADDR} --master-port ${MASTER_PORT}"
WAIT = 60.0


def ranked(name: str = "big", nodes: int = 2, master: str = "", rank: str = "", more: str = "") -> str:
    run = f'"{sys.executable}" -E -S "{SCRIPT}" {MEETS}'
    return (
        f"  {name}:\n    nodes: {nodes}\n    cmd: '{run} --port ${{PORT}} {master}'\n"
        f"    rankCmd: '{run} --headless {rank}'\n    unloadTimeout: 2s\n{more}"
    )


class Ranks:
    """A head and two machines that it follows."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.addresses = {name: f"127.0.0.{number}:{free_port()}" for number, name in enumerate(("a", "b", "c"), 1)}
        self.running: dict[str, Instance] = {}

    def start(self, name: str, models: str = NONE, more: str = "") -> Instance:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        config = configured(folder, f"startPort: {free_port()}\nmodels:\n{models}\n{more}")
        listen = ("--listen", self.addresses[name])
        self.running[name] = self._stack.enter_context(instance(folder, "--config", str(config), *listen))
        return self.running[name]

    def start_head(self, models: str, *names: str, more: str = "") -> Instance:
        peers = "".join(f"  {name}: {{proxy: 'http://{self.addresses[name]}', models: auto}}\n" for name in names)
        head = self.start("a", models, f"peers:\n{peers}{more}")
        for name in names:
            self.until_up(name)
        return head

    def until_up(self, name: str) -> None:
        until(lambda: self.state(name) == "up")

    def state(self, name: str) -> str:
        rows = self.running["a"].ask("GET", "/api/nodes").json["nodes"]
        return str(next(row["state"] for row in rows if row["name"] == name))

    def ranks(self, name: str) -> list[psutil.Process]:
        return [child for child in self.running[name].children() if str(SCRIPT) in " ".join(child.cmdline())]

    def until_nobody(self, *names: str) -> None:
        until(lambda: not any(self.ranks(name) for name in names or self.running))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Ranks]:
    with ExitStack() as stack:
        yield Ranks(tmp_path, stack)


def words(answer: Answer) -> str:
    return str(answer.json["error"]["message"])


def broken_off(stream: Streaming, *said: str) -> None:
    assert stream.ended(WAIT)
    assert "[DONE]" not in stream.text
    assert all(each in stream.text for each in ("error", *said)), stream.text


def test_a_model_on_two_machines_starts_answers_and_is_unloaded(machines: Ranks) -> None:
    machines.start("b")
    head = machines.start_head(ranked(), "b")
    assert head.chat("big").status == 200
    rank = machines.ranks("b")
    assert len(rank) == len(machines.ranks("a")) == 1
    assert "--node-rank 1 --master-addr 127.0.0.1" in " ".join(rank[0].cmdline())
    # A rank is nobody's to ask: neither there nor here is it listed.
    for server in (head, machines.running["b"]):
        assert {row["id"] for row in server.ask("GET", "/v1/models").json["data"]} <= {"big", "z", "b/z"}
    assert head.ask("POST", "/api/models/unload/big").status == 200
    machines.until_nobody()
    assert head.chat("big").status == 200
    assert machines.ranks("b") != rank


@pytest.fixture
def two(machines: Ranks) -> Ranks:
    """A model that runs on the head and on `b`."""
    machines.start("b")
    assert machines.start_head(ranked(), "b").chat("big").status == 200
    return machines


def killed(processes: list[psutil.Process]) -> None:
    assert processes
    for each in processes:
        each.kill()


def test_a_rank_is_killed_with_a_stream_open(two: Ranks) -> None:
    head = two.running["a"]
    stream = Streaming(head, "big", chunks=9, hold_after=2)
    assert stream.begun.wait(WAIT)
    before = two.ranks("a") + two.ranks("b")
    killed(two.ranks("b"))
    broken_off(stream, "machine 'b'", "its rank ended")
    assert gone(before)
    assert head.chat("big").status == 200


def test_rank_0_is_killed(two: Ranks) -> None:
    head = two.running["a"]
    before = two.ranks("a") + two.ranks("b")
    killed(two.ranks("a"))
    assert gone(before)
    assert head.chat("big").status == 200


def test_a_machine_dies_and_comes_back(two: Ranks) -> None:
    head = two.running["a"]
    stream = Streaming(head, "big", chunks=9, hold_after=2)
    assert stream.begun.wait(WAIT)
    before = two.ranks("a") + two.ranks("b")
    two.running["b"].process.kill()
    broken_off(stream, "machine 'b'")
    assert gone(before)
    refused = head.chat("big")
    assert refused.status == 503
    assert refused.json["error"]["code"] == "machines_missing"
    assert "needs 1 other machine" in words(refused)
    assert "'b': it is lost" in words(refused)
    two.start("b")
    two.until_up("b")
    assert head.chat("big").status == 200


@pytest.mark.slow
def test_the_head_dies_and_its_rank_with_it(two: Ranks) -> None:
    ranks = two.ranks("b")
    two.running["a"].process.kill()
    assert gone(ranks)


def test_one_rank_that_fails_ends_all_and_its_reason_is_said_once(machines: Ranks) -> None:
    for name in ("b", "c"):
        machines.start(name)
    fails = machines.folder / "2"  # rank 2 looks for it
    fails.touch()
    rank = f"--fail-file {machines.folder}/${{RANK}}"
    head = machines.start_head(ranked(nodes=3, rank=rank), "b", "c", more="placement: {prefer: [b, c]}\n")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: head.chat("big"), range(3)))
    assert {answer.status for answer in answers} == {502}
    assert {answer.json["error"]["code"] for answer in answers} == {"rank_failed"}
    for answer in answers:
        assert "machine 'c'" in words(answer)
        assert "no GPU is left" in words(answer)
    machines.until_nobody()
    fails.unlink()
    assert head.ask("POST", "/api/models/load/big").status == 200
    assert [len(machines.ranks(name)) for name in "abc"] == [1, 1, 1]


def test_two_models_want_the_one_machine_that_there_is(machines: Ranks) -> None:
    machines.start("b")
    models = ranked() + ranked("huge")
    head = machines.start_head(models, "b", more="groups: {all: {swap: false, members: [big, huge]}}\n")
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(("big", "huge"), pool.map(head.chat, ("big", "huge")), strict=True))
    assert sorted(answer.status for answer in answers.values()) == [200, 503]
    other, refused = next((name, answer) for name, answer in answers.items() if answer.status == 503)
    assert f"'b': it runs a rank of model '{'huge' if other == 'big' else 'big'}'" in words(refused)
    assert len(machines.ranks("b")) == 1
    # One goes, the other may come.
    assert head.ask("POST", f"/api/models/unload/{'huge' if other == 'big' else 'big'}").status == 200
    assert head.ask("POST", f"/api/models/load/{other}").status == 200


@pytest.mark.slow
def test_models_on_several_machines_swap_as_others_do(machines: Ranks) -> None:
    machines.start("b")
    head = machines.start_head(ranked() + ranked("huge"), "b")
    for name in ("big", "huge", "big"):
        assert head.chat(name).status == 200
        assert set(head.running()) == {name}
        assert len(machines.ranks("b")) == 1


def test_the_end_is_ordered_while_a_rank_is_late(machines: Ranks) -> None:
    machines.start("b")
    head = machines.start_head(ranked(rank=f"--late-file {machines.folder}/late"), "b")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(head.chat, "big")
        until(lambda: bool(machines.ranks("a")))
        assert head.ask("POST", "/api/models/unload/big").status == 200
        assert asked.result(WAIT).status == 503
    machines.until_nobody()


@pytest.mark.slow
def test_a_machine_that_another_head_has_is_not_taken(machines: Ranks) -> None:
    machines.start("b")
    head = machines.start_head(ranked(), "b")
    wish: dict[str, Any] = {
        "model": "theirs",
        "head": "another",
        "start": "1",
        "entry": {"cmd": "sleep 100", "proxy": head.url, "owner": "any", "checkEndpoint": "none", "unloadTimeout": 1},
        "lease_seconds": 60,
    }
    node = machines.running["b"]
    until(lambda: bool(node.ask("PUT", "/api/node/ranks/theirs.rank1", wish).json["state"] == "ready"))
    refused = head.chat("big")
    assert refused.status == 503
    assert "'b': it runs a rank of model 'theirs'" in words(refused)
    assert node.ask("DELETE", "/api/node/ranks/theirs.rank1?start=1").status == 204
    assert head.ask("POST", "/api/models/load/big").status == 200


def test_a_rank_that_nobody_asks_for_ends(machines: Ranks) -> None:
    node = machines.start("b")
    entry = {"cmd": "sleep 100", "proxy": node.url, "owner": "any", "checkEndpoint": "none", "unloadTimeout": 1}
    wish = {"model": "m", "head": "h", "start": "1", "entry": entry, "lease_seconds": 1}
    assert node.ask("PUT", "/api/node/ranks/m.rank1", wish).status == 200
    node.line("nobody has asked for it")
    until(lambda: node.ask("DELETE", "/api/node/ranks/m.rank1?start=never").status == 404)
    assert "m.rank1" not in node.running()
    # Who asks late begins nothing.
    assert node.ask("PUT", "/api/node/ranks/m.rank1", wish).json["state"] == "ended"
    assert node.ask("PUT", "/api/node/ranks/m.rank1", wish | {"start": "2", "begin": False}).status == 404


def test_what_cannot_be_a_rank_is_refused_with_words(machines: Ranks) -> None:
    node = machines.start("b")
    good: dict[str, Any] = {"model": "m", "head": "h", "start": "1", "entry": {"cmd": "x ${PORT}"}, "lease_seconds": 5}
    for path, change, status in (
        ("m.rank1", {"lease_seconds": -1}, 400),
        ("m.rank1", {"lease_seconds": 1e9}, 400),
        ("m.rank1", {"entry": "text"}, 400),
        ("z", {}, 400),
        ("m.rank1?x", {"model": ""}, 400),
    ):
        answer = node.ask("PUT", f"/api/node/ranks/{path}", good | change)
        assert answer.status == status, (path, change, answer.body)
        assert words(answer)
    assert node.ask("DELETE", "/api/node/ranks/m.rank1?start=never").status == 404
    # What its configuration cannot have is said as the reason of its end.
    for number, entry in enumerate(({"cmd": "'"}, {"cmd": 5, "ttl": [1]}, {}, {"cmd": "no-such-program ${PORT}"})):
        wish, path = good | {"entry": entry, "start": str(number)}, "/api/node/ranks/m.rank1"
        until(lambda wish=wish, path=path: node.ask("PUT", path, wish).json["state"] == "ended")  # type: ignore[misc]
        assert node.ask("PUT", path, wish).json["why"]
        assert node.ask("DELETE", f"{path}?start={number}").status == 204
    assert node.ask("GET", "/api/config").status == 200


@pytest.mark.slow
def test_a_machine_hangs_and_both_sides_end_by_themselves(two: Ranks) -> None:
    head, node = two.running["a"], two.running["b"]
    stream = Streaming(head, "big", chunks=9, hold_after=2)
    assert stream.begun.wait(WAIT)
    ranks, here = two.ranks("b"), two.ranks("a")
    node.process.send_signal(signal.SIGSTOP)
    try:
        broken_off(stream, "machine 'b'")
        assert gone(here)
        assert head.chat("big").status == 503
    finally:
        node.process.send_signal(signal.SIGCONT)
    assert gone(ranks)
    two.until_up("b")
    assert head.ask("POST", "/api/models/load/big").status == 200


def test_a_model_that_is_preloaded_waits_for_the_first_word_of_the_machines(machines: Ranks) -> None:
    machines.start("b")
    hooks = "hooks: {on_startup: {preload: [big]}}\n"
    head = machines.start_head(ranked(), "b", more=hooks)
    head.line("model big: ready")
    assert not [line for line in head.lines if "machines_missing" in line or "needs 1 other machine" in line]


def test_nobody_goes_for_a_model_that_has_too_few_machines(machines: Ranks) -> None:
    head = machines.start("a", ranked() + f"  small: {{cmd: '{fake()}'}}\n")
    assert head.chat("small").status == 200
    refused = head.chat("big")
    assert refused.status == 503
    assert "none has joined" in words(refused)
    assert head.running()["small"]["state"] == "ready"


@pytest.mark.slow
def test_an_upgrade_of_either_machine_leaves_no_rank_behind(two: Ranks) -> None:
    for name in ("a", "b"):
        before = two.ranks("a") + two.ranks("b")
        assert two.running[name].ask("POST", "/api/upgrade").status == 200
        assert gone(before)
        two.until_up("b")
        assert two.running["a"].ask("POST", "/api/models/load/big").status == 200
