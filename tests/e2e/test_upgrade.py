"""Another process takes the place of the one that serves: nobody who asks notices, whatever becomes of either."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from e2e.instance import WAIT_SECONDS, Answer, Instance, fake, instance, until
from e2e.upgrading import Client, Load, insist, post, stream
from fakes.ports import free_port

STREAMS, CLIENTS = 20, 6
HELD = {"stream": True, "fake": {"hold_after": 1}}
OTHER_VERSION = """
import os, json, socket, sys
end = socket.socket(fileno=int(os.environ["CLARACORE_SUCCESSOR"]))
def say(kind, body=None): end.send(json.dumps([kind, body]).encode())
def hear(): return json.loads(end.recv(300_000) or sys.exit(0))[0]
"""
"""A program that is started in place of ClaraCore: `python -m claracore` finds it in the working folder."""
SPEAKS_OTHERWISE = OTHER_VERSION + "say('hello', {'protocol': 99, 'version': '99.0'}); hear()"
ENDS_AT_ONCE = "raise SystemExit(3)"
DIES_WITH_EVERYTHING = (
    OTHER_VERSION
    + """
say("hello", {"protocol": 1, "version": "2.0"})
hear()
say("prepared")
while hear() != "given":
    pass
os.kill(os.getpid(), 9)
"""
)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Instance]:
    config = tmp_path / "config.yaml"
    first = free_port()
    config.write_text(
        f"startPort: {first}\nmodels:\n  m: {{cmd: '{fake()}'}}\n  one: {{cmd: '{fake()}', concurrencyLimit: 1}}\n"
        "groups:\n  all: {swap: false, members: [m, one]}\n"
    )
    with upgradable(tmp_path, "--no-watch-config") as running:
        yield running


@contextlib.contextmanager
def upgradable(folder: Path, *argv: str) -> Iterator[Instance]:
    with instance(folder, "--config", str(folder / "config.yaml"), *argv) as running:
        try:
            yield running
        finally:
            family = running.children() if running.process.poll() is None else []
            running.process.kill()
            for each in family:  # one that has taken over goes on without the first
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


def upgraded(box: Instance) -> Answer:
    """Have the same version take over."""
    answer = box.ask("POST", "/api/upgrade", {})
    assert answer.status == 200, answer.body
    return answer


def server_of(box: Instance, model: str) -> http.client.HTTPConnection:
    """Return a way to a model's server beside ClaraCore."""
    until(lambda: model in box.running() and box.running()[model]["state"] == "ready")
    return http.client.HTTPConnection(urlsplit(box.running()[model]["proxy"]).netloc, timeout=WAIT_SECONDS)


def told(server: http.client.HTTPConnection, method: str, path: str) -> None:
    """Tell a model's server something, or wait for its answer."""
    server.request(method, f"/control/{path}")
    server.getresponse().read()


def listed(box: Instance) -> tuple[list[object], dict[str, int]]:
    """Return the requests of the process that serves, and how many of each model those before it still have."""
    answer = box.ask("GET", "/api/requests").json
    return answer["requests"], answer["former"]


def test_nothing_is_lost_while_another_process_takes_over_twice(box: Instance) -> None:
    assert box.chat("m").status == 200
    server, where = box.running()["m"]["pid"], urlsplit(box.url)
    host, port = str(where.hostname), int(where.port or 0)
    model = urlsplit(box.running()["m"]["proxy"])
    loaded = box.ask("GET", "/api/models/m").json["load_seconds"]

    async def asked() -> tuple[Load, Load, list[int]]:
        lasting, load, begun = Load(), Load(), asyncio.Semaphore(0)
        streams = [asyncio.create_task(stream(lasting, host, port, "m", begun)) for _ in range(STREAMS)]
        for _ in range(STREAMS):
            await begun.acquire()
        clients = [asyncio.create_task(insist(load, host, port, "m", keep=bool(n % 2))) for n in range(CLIENTS)]
        pids = []
        for _ in range(2):
            status, done = await post(host, port, "/api/upgrade")
            assert (status, done["models"]) == (200, ["m"]), done
            pids.append(done["pid"])
        load.stopping = True
        await asyncio.gather(*clients)
        # A client has its answer before the third process has heard from the second one, or the first, that it is over.
        await asyncio.to_thread(until, lambda: listed(box) == ([], {"m": STREAMS}))
        shown = await asyncio.to_thread(box.ask, "GET", "/api/models/m")
        assert shown.json["load_seconds"] == loaded
        release = Client(str(model.hostname), int(model.port or 0), keep=False)
        await release.begin(f"/control/release?count={STREAMS}", {})
        await release.close()
        await asyncio.gather(*streams)
        return lasting, load, pids

    lasting, load, pids = asyncio.run(asked())
    assert (lasting.failed, lasting.answered) == ([], STREAMS)
    assert (load.failed, load.answered > CLIENTS) == ([], True)
    assert box.ask("GET", "/api/identity").json["pid"] == pids[1]
    assert box.running()["m"]["pid"] == server
    # What was answered by the first process is known to the third.
    until(lambda: box.running()["m"]["serving"] == 0)
    until(lambda: bool(box.ask("GET", "/api/activity?limit=1").json["total"] == load.answered + STREAMS + 1))
    assert sum(" serves " in line and " model" in line for line in box.lines) == 1, "one banner"
    # Whoever started the first process knows its pid: signals to it end the third, and all is gone.
    family = box.children()
    assert box.end(signal.SIGTERM) == 0
    assert psutil.wait_procs(family, WAIT_SECONDS)[1] == []


def test_who_waits_goes_on_waiting_and_what_has_changed_is_started_again(box: Instance) -> None:
    config = box.folder / "config.yaml"
    with ThreadPoolExecutor(8) as pool:
        held = pool.submit(box.chat, "one", **HELD)
        server = server_of(box, "one")
        told(server, "GET", "wait?key=held&at_least=1")
        waiting = [pool.submit(box.chat, "one") for _ in range(3)]
        until(lambda: bool(box.running()["one"]["waiting"] == 3))
        before = box.running()["one"]["pid"]
        config.write_text(config.read_text().replace("concurrencyLimit: 1", "concurrencyLimit: 1, env: [NEW=1]"))
        assert upgraded(box).json["models"] == ["one"]
        assert box.running()["one"]["pid"] == before  # it still answers
        late = pool.submit(box.chat, "one")
        until(lambda: bool(box.running()["one"]["waiting"] == 4))
        told(server, "POST", "release?count=1")
        server.close()
        assert held.result(WAIT_SECONDS).status == 200
        assert [each.result(WAIT_SECONDS).status for each in (*waiting, late)] == [200] * 4
        assert box.running()["one"]["pid"] != before


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (SPEAKS_OTHERWISE, "version 99.0 cannot take over from this one without a pause"),
        (ENDS_AT_ONCE, "it ended with exit code 3"),
        (DIES_WITH_EVERYTHING, "it ended with exit code -9"),
    ],
)
def test_a_process_that_fails_to_take_over_changes_nothing(box: Instance, program: str, why: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(box.chat, "m", **HELD)
        beside = server_of(box, "m")
        told(beside, "GET", "wait?key=held&at_least=1")
        server, identity = box.running()["m"]["pid"], box.ask("GET", "/api/identity").json
        (box.folder / "claracore.py").write_text(program)
        failed = box.ask("POST", "/api/upgrade", {})
        assert (failed.status, failed.json["error"]["code"]) == (409, "upgrade_failed")
        assert why in failed.message
        assert box.ask("GET", "/api/identity").json == identity
        told(beside, "POST", "release?count=1")
        beside.close()
        assert held.result(WAIT_SECONDS).status == 200
    assert box.chat("m").status == 200
    assert box.running()["m"]["pid"] == server
    assert box.chat("one").status == 200


def test_a_configuration_with_an_error_is_refused_with_the_reason_and_mended_it_is_taken(box: Instance) -> None:
    config = box.folder / "config.yaml"
    good = config.read_text()
    config.write_text(good + "macros: 7\n")
    failed = box.ask("POST", "/api/upgrade", {})
    assert failed.status == 409
    assert "macros" in failed.message
    assert box.chat("m").status == 200
    config.write_text(good)
    pid = upgraded(box).json["pid"]
    assert box.ask("GET", "/api/identity").json["pid"] == pid
    assert box.chat("m").status == 200

    # Killed: what it had runs no more, and whoever waits for the first process hears of it.
    family = box.children()
    psutil.Process(pid).kill()
    assert box.process.wait(WAIT_SECONDS) == 1
    assert psutil.wait_procs(family, WAIT_SECONDS)[1] == []


def test_the_new_one_goes_on_without_the_old_one(box: Instance) -> None:
    assert box.chat("m").status == 200
    server = box.running()["m"]["pid"]
    upgraded(box)
    box.line("stays as the guardian")
    successors = [each for each in box.children() if each.pid != server]
    box.process.kill()
    box.process.wait(WAIT_SECONDS)
    try:
        assert box.chat("m").status == 200
        assert box.running()["m"]["pid"] != server  # which ended with its parent
    finally:
        for each in successors:
            if each.is_running():
                each.terminate()
        psutil.wait_procs(successors, WAIT_SECONDS)


def test_models_of_other_machines_are_known_all_the_time(tmp_path: Path) -> None:
    """Also while nobody answers at one of two addresses; and after a start nobody hears that there is no model."""
    other, serves = tmp_path / "other", tmp_path / "serves"
    for folder in (other, serves):
        folder.mkdir()
    (other / "config.yaml").write_text(f"startPort: {free_port()}\nmodels:\n  x: {{cmd: '{fake()}'}}\n")
    with instance(other, "--config", str(other / "config.yaml")) as machine:
        peers = f"peers:\n  desk: {{proxy: '{machine.url}', models: auto}}\n"
        peers += f"  gone: {{proxy: 'http://127.0.0.1:{free_port()}', models: auto}}\n"
        (serves / "config.yaml").write_text(f"startPort: {free_port()}\nmodels: {{}}\n{peers}")
        with upgradable(serves) as box:
            early = box.chat("desk/x")
            assert early.status == 200 or early.json["error"]["code"] == "machine_not_there"
            until(lambda: box.chat("x").status == 200)
            assert box.chat("nobody").json["error"]["code"] == "model_not_found"
            host, port = str(urlsplit(box.url).hostname), int(urlsplit(box.url).port or 0)

            async def asked() -> Load:
                load = Load()
                names = ("x", "desk/x") * (CLIENTS // 2)
                clients = [asyncio.create_task(insist(load, host, port, name, keep=True)) for name in names]
                for _ in range(2):
                    assert (await post(host, port, "/api/upgrade"))[0] == 200
                load.stopping = True
                await asyncio.gather(*clients)
                return load

            load = asyncio.run(asked())
            assert (load.failed, load.answered > CLIENTS) == ([], True)
