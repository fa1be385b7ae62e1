"""The configuration is read, checked, changed and taken back over HTTP while models run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.instance import Answer, Instance, configured, fake, instance
from fakes.ports import free_run

START = free_run(8).start
TEXT = f"""\
# written by hand
startPort: {START}   # ours
groups:
  all: {{swap: false, exclusive: false, members: [a, "b"]}}
models:
  a:  # the first
    cmd: '{fake()}'
    ttl: 5m   # short

  b: {{cmd: '{fake()}', aliases: [bee]}}
hooks: {{on_startup: {{preload: [b]}}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("config-api")
    with instance(folder, "--config", str(configured(folder, TEXT))) as running:
        yield running


@pytest.fixture
def served(server: Instance) -> Instance:
    """The server of the module as it was when it started, but for `b`, which it preloaded: nothing is loaded."""
    if text(server) != TEXT:
        assert put(server, TEXT, "*").status == 200
    for backup in server.folder.glob("config.yaml.backup.*"):
        backup.unlink()
    assert server.ask("POST", "/api/models/unload").status == 200
    return server


def text(served: Instance) -> str:
    return (served.folder / "config.yaml").read_text()


def patch(served: Instance, model: str, change: dict[str, Any], **headers: str) -> Answer:
    return served.ask("PATCH", f"/api/config/models/{model}", change, headers)


def put(served: Instance, yaml: str, if_match: str) -> Answer:
    return served.ask("PUT", "/api/config", {"yaml": yaml}, {"If-Match": if_match})


def test_a_patch_changes_one_value_and_nothing_else(served: Instance) -> None:
    assert served.chat("a").status == 200
    before = served.running()["a"]
    shown = served.ask("GET", "/api/config").json
    answer = patch(served, "a", {"ttl": "7m", "concurrencyLimit": 3}, **{"If-Match": f'"{shown["hash"]}"'})
    assert answer.status == 200, answer.body
    assert answer.json["changes"]["soft"] == ["a"]
    assert text(served) == TEXT.replace("ttl: 5m   # short\n", "ttl: 7m   # short\n    concurrencyLimit: 3\n")
    assert (served.folder / answer.json["backup"]).read_text() == TEXT
    after = served.running()["a"]
    assert (after["pid"], after["ttl"]) == (before["pid"], 420)
    assert patch(served, "bee", {"ttl": None, "name": "Bee"}).json["changes"]["soft"] == ["b"]
    assert patch(served, "a", {"cmd": f"{fake('--alias', 'new')}"}).json["changes"]["restart"] == ["a"]
    assert served.chat("a").json["echo"]["model"] == "new"


def test_a_change_of_an_older_text_is_refused(served: Instance) -> None:
    old = served.ask("GET", "/api/config").json["hash"]
    assert patch(served, "a", {"ttl": 1}).status == 200
    between = text(served)
    for answer in (patch(served, "a", {"ttl": 2}, **{"If-Match": old}), put(served, TEXT, old)):
        assert (answer.status, answer.json["error"]["code"]) == (412, "changed_meanwhile")
    assert text(served) == between
    assert served.ask("PUT", "/api/config", {"yaml": TEXT}).status == 400
    assert put(served, TEXT, "*").status == 200
    assert text(served) == TEXT


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    start = threading.Barrier(len(calls))

    def ask(call: Callable[[], Answer]) -> Answer:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(ask, calls))


def test_of_two_who_replace_the_same_text_at_once_one_is_refused(served: Instance) -> None:
    for seconds in range(10):
        seen = served.ask("GET", "/api/config").json["hash"]
        texts = [TEXT.replace("ttl: 5m", f"ttl: {seconds}{unit}") for unit in "sh"]
        answers = at_once(*(partial(put, served, yaml, seen) for yaml in texts))
        assert sorted(answer.status for answer in answers) == [200, 412]
        assert text(served) == texts[[answer.status for answer in answers].index(200)]


def test_changes_of_different_models_at_once_are_all_kept(served: Instance) -> None:
    names = [f"m{number}" for number in range(6)]
    rows = "".join(f"  {name}: {{cmd: '{fake()}', ttl: 1}}\n" for name in names)
    assert put(served, f"startPort: {START}\nmodels:\n{rows}", "*").status == 200
    for seconds in range(2, 7):
        answers = at_once(*(partial(patch, served, name, {"ttl": seconds}) for name in names))
        assert [answer.status for answer in answers] == [200] * len(names)
        assert [answer.json["changes"]["soft"] for answer in answers] == [[name] for name in names]
        assert text(served) == f"startPort: {START}\nmodels:\n{rows}".replace("ttl: 1", f"ttl: {seconds}")


def test_the_command_line_and_the_server_lose_nothing_of_each_other(served: Instance) -> None:
    change = (
        "import sys; from pathlib import Path; from claracore.host.store.files import change\n"
        "for number in range(20): change(Path('config.yaml'), lambda old: old + f'# line {number}\\n')"
    )
    with subprocess.Popen([sys.executable, "-c", change], cwd=served.folder) as writer:
        changed = 0
        while writer.poll() is None or not changed:
            changed += 1
            assert patch(served, "a", {"ttl": changed}).status == 200
    assert writer.returncode == 0
    assert [line for line in text(served).splitlines() if line.startswith("# line")] == [
        f"# line {n}" for n in range(20)
    ]
    assert f"ttl: {changed}" in text(served)


def test_what_a_killed_server_has_left_beside_the_file_is_swept_at_the_start(tmp_path: Path) -> None:
    config = configured(tmp_path, TEXT)
    left = [tmp_path / f".config.yaml{name}.0123456789ab.tmp" for name in ("", ".backup.20260101T000000.000000Z")]
    for path in left:
        path.write_text("half of a te")
    with instance(tmp_path, "--config", str(config)):
        assert not [path for path in left if path.exists()]


def test_what_a_person_saves_while_the_server_changes_the_file_is_never_overwritten(served: Instance) -> None:
    path = served.folder / "config.yaml"
    ended = threading.Event()

    def change() -> list[int]:
        statuses: list[int] = []
        while not ended.is_set():
            statuses.append(patch(served, "a", {"ttl": len(statuses) + 1}).status)
        return statuses

    def save(number: int) -> None:
        new = f"{text(served)}# by hand {number}\n"
        if number % 2:
            (served.folder / "editor~").write_text(new)
            (served.folder / "editor~").rename(path)
        else:
            with path.open("w") as file:  # in place, in two writes
                file.write(new[:40])
                file.flush()
                file.write(new[40:])
        served.ask("POST", "/api/config/reload")

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        for number in range(20):
            save(number)
        ended.set()
        assert set(changing.result()) <= {200, 412, 422}  # 422: half of what the person writes has no such model
    added = [line for line in text(served).splitlines() if line.startswith("# by hand")]
    assert added == [f"# by hand {number}" for number in range(20)]


def test_what_is_wrong_is_answered_with_every_place_and_changes_nothing(served: Instance) -> None:
    bad = TEXT.replace("ttl: 5m", "ttl: soon").replace("[bee]", "[a, bee, bee]").replace(str(START), "99999")
    answer = put(served, bad, "*")
    assert answer.status == 422
    found = {(its["path"], its["line"], its["severity"]) for its in answer.json["error"]["findings"]}
    assert found == {("startPort", 2, "error"), ("models.a.ttl", 8, "error"), ("models.b.aliases[2]", 10, "error")}
    assert patch(served, "a", {"ttl": "soon"}).status == 422
    assert patch(served, "nobody", {"ttl": 5}).status in {404, 422}
    assert text(served) == TEXT
    assert list(served.folder.glob("config.yaml.backup.*")) == []


def test_an_edit_with_an_unknown_key_is_refused_although_a_file_may_have_some(served: Instance) -> None:
    answer = patch(served, "a", {"tttl": 5, "concurrencyLimit": -1})
    assert answer.status == 422
    found = {its["path"]: its["way_out"] for its in answer.json["error"]["findings"]}
    assert found == {"models.a.tttl": "did you mean 'ttl'?", "models.a.concurrencyLimit": "expected at least 0"}
    assert text(served) == TEXT
    assert put(served, TEXT + "\nx-y: 1\nhealthCheckTimeoutt: 5\n", "*").status == 200
    assert patch(served, "a", {"ttl": 6}).status == 200
    assert "unknown key" in served.line("healthCheckTimeoutt")


def test_a_deleted_model_is_gone_from_groups_and_preload_too(served: Instance) -> None:
    answer = served.ask("DELETE", "/api/config/models/bee")
    assert answer.status == 200, answer.body
    assert answer.json["changes"]["removed"] == ["b"]
    left = text(served)
    assert "bee" not in left
    assert "members: [a]}" in left
    assert "# the first" in left
    assert served.chat("bee").status == 404
    assert served.ask("DELETE", "/api/config/models/bee").status == 404
    assert put(served, TEXT, "*").json["changes"]["added"] == ["b"]
    assert served.chat("bee").status == 200


def test_the_last_ten_texts_are_kept(served: Instance) -> None:
    texts = [text(served)]
    for seconds in range(1, 13):
        assert patch(served, "a", {"ttl": seconds}).status == 200
        texts.append(text(served))
    backups = served.ask("GET", "/api/config/backups").json["backups"]
    shown = [served.ask("GET", f"/api/config/backups/{backup['name']}").json["yaml"] for backup in backups]
    assert shown == texts[-2:-12:-1]
    assert served.ask("GET", "/api/config/backups/..%2Fconfig.yaml").status == 404


def test_what_a_change_would_do_is_told_before_and_by_the_command_line_alike(served: Instance) -> None:
    new = TEXT.replace("ttl: 5m", "ttl: 6m").replace("aliases: [bee]", "env: [A=1]") + "macros: {unused: 1}\n"
    new = new.replace("models:\n", f"models:\n  c: {{cmd: '{fake()}'}}\n")
    answer = served.ask("POST", "/api/config/check", {"yaml": new}).json
    assert answer["ok"]
    told = answer["changes"]
    assert (told["added"], told["removed"], told["soft"], told["restart"]) == (["c"], [], ["a"], ["b"])
    assert text(served) == TEXT
    (served.folder / "new.yaml").write_text(new)
    command = [sys.executable, "-m", "claracore", "config", "diff", "new.yaml", "--config", "config.yaml", "--json"]
    printed = json.loads(subprocess.run(command, cwd=served.folder, check=True, capture_output=True).stdout)
    assert (printed["added"], printed["removed"], printed["changed without restart"]) == (["c"], [], ["a"])
    assert printed["restart"] == ["b"]
    bad = served.ask(
        "POST", "/api/config/check", {"yaml": "models: {a: {cmd: 'no-such-program --port ${PORT}', tttl: 1}"}
    )
    assert not bad.json["ok"]
    warned = served.ask(
        "POST", "/api/config/check", {"yaml": "models: {a: {cmd: 'no-such-thing ${PORT}', tttl: 1}}"}
    ).json
    assert warned["ok"]
    assert [its["message"] for its in warned["findings"]] == [
        "unknown key 'tttl'",
        "the program 'no-such-thing' is not on PATH",
    ]


def test_yaml_may_be_the_body_itself(served: Instance) -> None:
    yaml = {"Content-Type": "application/yaml"}
    told = served.ask("POST", "/api/config/check", TEXT.replace("ttl: 5m", "ttl: 6m").encode(), yaml)
    assert told.json["changes"]["soft"] == ["a"]
    new = TEXT.replace("ttl: 5m", "ttl: 7m")
    written = served.ask("PUT", "/api/config", new.encode(), {**yaml, "If-Match": "*"})
    assert written.status == 200, written.body
    assert text(served) == new
    assert served.ask("POST", "/api/config/check", b"\xff", yaml).status == 400
    assert served.ask("POST", "/api/config/check", b'{"yml": ""}').status == 400
    assert served.ask("POST", "/api/config/check", TEXT.encode(), {"Content-Type": "text/plain"}).status == 415


def test_a_form_changes_a_text_that_is_not_saved(served: Instance) -> None:
    shown = served.ask("POST", "/api/config/form", {"yaml": TEXT}).json
    assert shown["yaml"] == TEXT
    assert [(model["id"], model["ttl"]) for model in shown["models"]] == [("a", "5m"), ("b", "")]
    changed = served.ask("POST", "/api/config/form", {"yaml": TEXT, "model": "a", "ttl": "6m"}).json
    assert changed["yaml"] == TEXT.replace("ttl: 5m", "ttl: 6m")
    assert changed["models"][0]["ttl"] == "6m"
    assert text(served) == TEXT
    assert served.ask("POST", "/api/config/form", {"yaml": TEXT, "model": "x", "ttl": "1"}).status == 404
    assert served.ask("POST", "/api/config/form", {"yaml": TEXT, "model": "a", "group": "x"}).status == 409
    broken = served.ask("POST", "/api/config/form", {"yaml": "models: ["})
    assert broken.status == 422
    assert broken.json["error"]["findings"][0]["severity"] == "error"


def test_a_reload_without_a_change_does_nothing(served: Instance) -> None:
    assert served.chat("a").status == served.chat("b").status == 200
    before = served.running()
    changes = served.ask("POST", "/api/config/reload").json["changes"]
    assert changes["kept"] == ["a", "b"]
    assert not any(changes[kind] for kind in ("added", "removed", "restart", "soft", "settings"))
    assert served.running() == before
    configured(served.folder, "models: [\n")
    assert served.ask("POST", "/api/config/reload").status == 422
    served.line("not taken over")
    assert served.ask("GET", "/api/config").json["rejected"][0]["line"] == 2
    assert served.running() == before


def test_a_matrix_decides_what_stays_loaded(tmp_path: Path) -> None:
    rows = "".join(f"  {name}: {{cmd: '{fake()}'}}\n" for name in "abc")
    matrix = "matrix:\n  evict_costs: {b: 5}\n  sets: {pair: 'a & (b | c)', lone: b}\n"
    path = configured(tmp_path, f"startPort: {START}\nmodels:\n{rows}{matrix}")
    with instance(tmp_path, "--config", str(path)) as running:
        for name in ("b", "a"):
            assert running.chat(name).status == 200
        assert sorted(running.running()) == ["a", "b"]
        assert running.chat("c").status == 200
        assert sorted(running.running()) == ["a", "c"]
        assert running.chat("b").status == 200
        assert sorted(running.running()) == ["a", "b"]
        metadata = patch(running, "c", {"metadata": {"port": "${PORT}", "context_length": 1}}).status
        assert metadata == 200
        row = next(row for row in running.ask("GET", "/v1/models").json["data"] if row["id"] == "c")
        port = row["meta"]["llamaswap"]["port"]
        assert isinstance(port, int)
        assert row["meta"]["llamaswap"] == {"port": port, "context_length": 1, "type": "model"}
        assert patch(running, "c", {"capabilities": {"tools": True}}).status == 200
        row = next(row for row in running.ask("GET", "/v1/models").json["data"] if row["id"] == "c")
        assert row["meta"]["llamaswap"] == {"port": port, "type": "model"}
