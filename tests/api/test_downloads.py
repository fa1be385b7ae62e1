"""Models from the hub by way of a whole ClaraCore: into the list, with events, in the shapes of old clients."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.test_server import events, ok, streaming, until
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keys import Right
from e2e.instance import Instance, configured, fake, instance, on_one_processor
from fakes.fake_hub import FakeHub, Fault, fake_hub
from fakes.ports import free_run
from zoo.synthetic import Shape

SMOLLM2 = "smollm2-135m-instruct-q4_1"
REPO = "small/SmolLM2-GGUF"
CONFIG = f"""\
# a comment that stays
startPort: {free_run(8).start}
models:
  one:
    cmd: '{fake()}'
"""


@pytest.fixture(scope="module")
def model() -> bytes:
    """A model of a few megabytes that can be listed and planned, but has no weights."""
    image = Shape("llama", 2, 576, 9, 3, 1536, 8192, 2048, "Q4_1", tied=True, template="{{ messages }}").image()
    return image.header.ljust(image.size, b"\0")


@pytest.fixture
def hub(model: bytes) -> Iterator[FakeHub]:
    files = {"SmolLM2-135M-Instruct.Q4_1.gguf": model, "SmolLM2-135M-Instruct.Q8_0.gguf": model[:100]}
    with fake_hub(repos={REPO: files, "small/wrong-GGUF": {"wrong-Q4_0.gguf": b"GGUF, it says"}}) as hub:
        yield hub


@pytest.fixture
def server(hub: FakeHub, tmp_path: Path) -> Iterator[Instance]:
    configured(tmp_path, CONFIG)
    with instance(tmp_path, env=hub.environ(), run_by=on_one_processor()) as running:
        yield running


def ended(type_: str, data: Any) -> bool:
    return type_ == "download" and (data["status"] in {"finished", "failed"} or data["removed"])


def pull(server: Instance, ref: str = REPO, **more: Any) -> dict[str, Any]:
    """Fetch a model; return how it ended."""
    with streaming(server, "/api/stream?topics=download") as answer:
        stream = events(answer)
        next(stream)
        ok(server.ask("POST", "/api/downloads", {"ref": ref, **more}))
        found: dict[str, Any] = until(stream, ended)[-1][1]
        return found


def test_what_a_repository_has_and_whether_it_fits(server: Instance, model: bytes) -> None:
    plan = ok(server.ask("POST", "/api/downloads/plan", {"ref": f"hf.co/{REPO}:q4_1"}))
    assert (plan["repo"], plan["quantization"], plan["total_bytes"]) == (REPO, "Q4_1", len(model))
    assert plan["folder"] == str(server.folder / "downloads")
    assert plan["free_bytes"] > 0
    rows = [(row["label"], row["bytes"], row["chosen"], row["fit"]) for row in plan["variants"]]
    assert [row[:3] for row in rows] == [("Q8_0", 100, False), ("Q4_1", len(model), True)]
    assert {row[3] for row in rows} <= {"gpu", "memory"}
    assert ok(server.ask("POST", "/api/downloads/plan", {"ref": plan["variants"][0]["ref"]}))["quantization"] == "Q8_0"
    assert not (server.folder / "downloads").exists()


def test_pull_and_it_is_in_the_list_and_answers(server: Instance, hub: FakeHub, smollm2: Path) -> None:
    hub.repos[REPO] = {"SmolLM2-135M-Instruct.Q4_1.gguf": smollm2.read_bytes()}
    view = pull(server)
    assert (view["status"], view["models"], view["note"], view["error"]) == ("finished", [SMOLLM2], None, None)
    place = server.folder / "downloads" / REPO / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert view["files"][0]["path"] == str(place)
    models = {row["id"] for row in ok(server.ask("GET", "/api/models"))["models"]}
    assert models == {"one", SMOLLM2}
    text = (server.folder / "config.yaml").read_text()
    assert "# a comment that stays" in text
    assert list(server.folder.glob("config.yaml.backup.*"))
    answer = server.chat(SMOLLM2, max_tokens=2)
    assert answer.status == 200, answer.body
    again = pull(server)
    assert (again["status"], again["models"]) == ("finished", [SMOLLM2])
    assert (server.folder / "config.yaml").read_text() == text
    listed = ok(server.ask("GET", "/api/downloads"))
    assert [row["status"] for row in listed["downloads"]] == ["finished", "finished"]
    ok(server.ask("DELETE", f"/api/downloads/{view['id']}"))
    assert place.exists()
    assert server.ask("GET", f"/api/downloads/{view['id']}").status == 404


def test_a_followed_folder_takes_it_up_by_itself(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "my models").mkdir()
    with instance(tmp_path, "--models-folder", "my models", env=hub.environ()) as server:
        view = pull(server)
        assert (view["models"], view["note"]) == ([SMOLLM2], None)
        assert view["folder"] == str(tmp_path / "my models")
        assert [row["id"] for row in ok(server.ask("GET", "/api/models"))["models"]] == [SMOLLM2]


def test_the_configuration_may_name_the_folder(hub: FakeHub, tmp_path: Path) -> None:
    configured(tmp_path, f"downloadDir: ./elsewhere\n{CONFIG}")
    with instance(tmp_path, env=hub.environ()) as server:
        assert ok(server.ask("GET", "/api/downloads"))["folder"] == str(tmp_path / "elsewhere")
        view = pull(server, to=str(tmp_path / "here"))
        assert (view["folder"], view["models"]) == (str(tmp_path / "here"), [SMOLLM2])
        refused = server.ask("POST", "/api/downloads", {"ref": REPO, "to": "../there"})
        assert (refused.status, "whole path" in refused.message) == (400, True)


def test_what_cannot_be_served_says_why(server: Instance) -> None:
    view = pull(server, "small/wrong-GGUF")
    assert (view["status"], view["models"]) == ("finished", [])
    assert view["note"].startswith("it is downloaded, but cannot be served: ")
    assert [row["id"] for row in ok(server.ask("GET", "/api/models"))["models"]] == ["one"]
    file = Path(view["files"][0]["path"])
    assert file.is_file()
    assert ok(server.ask("DELETE", f"/api/downloads/{view['id']}?files=true"))["removed"]
    assert not file.exists()
    assert ok(server.ask("GET", "/api/downloads"))["downloads"] == []


def test_errors_of_the_hub_have_their_status(server: Instance, hub: FakeHub) -> None:
    hub.gated.add(REPO)
    gated = server.ask("POST", "/api/downloads", {"ref": REPO})
    assert (gated.status, gated.json["error"]["code"]) == (403, "gated_model")
    missing = server.ask("POST", "/api/downloads", {"ref": "small/SmolLM"})
    assert missing.status == 404
    assert f"did you mean {REPO}" in missing.message
    assert server.ask("POST", "/api/downloads", {"ref": "nonsense"}).status == 400
    hub.listing_faults += [Fault(status=500, headers={"Retry-After": "0"}) for _ in range(3)]
    assert server.ask("POST", "/api/downloads/plan", {"ref": REPO}).status == 502
    kept = ok(server.ask("PUT", "/api/downloads/token", {"token": hub.token}))
    assert kept == {"source": "the one stored in ClaraCore"}
    assert pull(server)["status"] == "finished"
    shown = json.dumps(
        [ok(server.ask("GET", path)) for path in ("/api/downloads", "/api/config", "/api/logs?source=proxy")]
    )
    assert hub.token not in shown + "\n".join(server.lines)


def test_pause_resume_cancel_while_nobody_watches(server: Instance, hub: FakeHub) -> None:
    fault = Fault(hold_after=3_000_000)
    hub.faults.append(fault)
    begun = ok(server.ask("POST", "/api/downloads", {"ref": REPO}))
    path = f"/api/downloads/{begun['id']}"
    assert fault.held.wait(60)
    assert ok(server.ask("POST", f"{path}/pause"))["status"] == "paused"
    assert server.ask("POST", f"{path}/pause").status == 200
    fault.release.set()
    held = Fault(hold_after=1000)
    hub.faults.append(held)
    assert ok(server.ask("POST", f"{path}/resume"))["status"] in {"queued", "downloading", "checking"}
    assert held.held.wait(60)
    gone = ok(server.ask("DELETE", path))
    assert gone["removed"]
    held.release.set()
    assert not (server.folder / "downloads" / "small").exists()
    assert server.ask("POST", f"{path}/resume").status == 404


def test_a_killed_server_goes_on_where_it_was(hub: FakeHub, tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    fault = Fault(hold_after=3_000_000)
    hub.faults.append(fault)
    with instance(tmp_path, env=hub.environ()) as server, streaming(server, "/api/stream?topics=download") as answer:
        stream = events(answer)
        next(stream)
        begun = ok(server.ask("POST", "/api/downloads", {"ref": REPO}))
        until(stream, lambda type_, data: type_ == "download" and data["done_bytes"] > 1_000_000)
    fault.release.set()
    part = tmp_path / "downloads" / REPO / "SmolLM2-135M-Instruct.Q4_1.gguf.part"
    assert part.stat().st_size > 1_000_000
    held = Fault(hold_after=0)
    hub.faults.append(held)
    with instance(tmp_path, env=hub.environ()) as server:
        assert held.held.wait(60)
        with streaming(server, "/api/stream?topics=download") as answer:
            stream = events(answer)
            next(stream)
            held.release.set()
            view = until(stream, ended)[-1][1]
        assert (view["id"], view["status"], view["models"]) == (begun["id"], "finished", [SMOLLM2])
    assert hub.asked("cdn")[-1].headers["range"].startswith("bytes=")


def test_who_may_fetch(hub: FakeHub, tmp_path: Path) -> None:
    configured(tmp_path, CONFIG)
    keys = KeyFile(tmp_path / "state" / "claracore")
    reader, _ = keys.add("reader", [Right.READ])
    admin, _ = keys.add("admin", [Right.ADMIN])
    with instance(tmp_path, env=hub.environ()) as server:
        bearer = {key: {"Authorization": f"Bearer {key}"} for key in (reader, admin)}
        assert server.ask("GET", "/api/downloads").status == 401
        assert server.ask("GET", "/api/downloads", headers=bearer[reader]).status == 200
        for path in ("/api/downloads", "/api/downloads/plan", "/api/models/download"):
            wish = {"ref": REPO, "url": REPO}
            assert server.ask("POST", path, wish, bearer[reader]).status == 403
            foreign = {**bearer[admin], "Origin": "https://evil.example"}
            assert server.ask("POST", path, wish, foreign).status == 403
            form = {**bearer[admin], "Content-Type": "text/plain"}
            assert server.ask("POST", path, json.dumps(wish).encode(), form).status == 415
        assert server.ask("PUT", "/api/downloads/token", {"token": "x"}, bearer[reader]).status == 403
        assert server.ask("POST", "/api/downloads/plan", {"ref": REPO}, bearer[admin]).status == 200
    assert not hub.asked("cdn")


def test_old_clients_fetch_in_their_words(server: Instance, hub: FakeHub) -> None:
    heard: list[dict[str, Any]] = []
    done = threading.Event()
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    url = f"https://huggingface.co/{REPO}/resolve/main/{name}"

    def listen() -> None:
        with streaming(server, "/api/events") as answer:
            ready.set()
            while (raw := answer.readline()) and not done.is_set():
                if raw.startswith(b"data:") and b"downloadProgress" in raw:
                    heard.append(json.loads(json.loads(raw[5:])["data"]))
                    if heard[-1]["info"]["status"] == "completed":
                        done.set()

    ready = threading.Event()
    listener = threading.Thread(target=listen)
    listener.start()
    assert ready.wait(60)
    begun = ok(server.ask("POST", "/api/models/download", {"url": url, "modelId": REPO, "filename": name}))
    assert (begun["status"], begun["modelId"], begun["filename"]) == ("started", REPO, name)
    assert done.wait(60)
    listener.join(60)
    id_ = begun["downloadId"]
    assert "/" not in id_
    assert heard[-1]["downloadId"] == id_
    info = ok(server.ask("GET", f"/api/models/downloads/{id_}"))
    assert ok(server.ask("GET", "/api/models/downloads")) == {id_: info}
    assert (info["status"], info["progress"], info["modelId"]) == ("completed", 100.0, REPO)
    assert info["downloadedBytes"] == info["totalBytes"]
    for path in ("pause", "resume"):
        assert server.ask("POST", f"/api/models/downloads/{id_}/{path}").status == 409
    assert ok(server.ask("POST", "/api/models/download/cancel", {"downloadId": id_}))["status"] == "cancelled"
    assert server.ask("POST", "/api/models/download/cancel", {"downloadId": id_}).status == 404
    assert server.ask("POST", "/api/models/download", {}).status == 400
    places = ok(server.ask("GET", "/api/models/download-destinations"))
    assert places["destinations"][0]["path"] == str(server.folder / "downloads")
    assert ok(server.ask("POST", "/api/settings/hf-api-key", {"apiKey": hub.token})) == {"status": "saved"}
    assert ok(server.ask("GET", "/api/settings/hf-api-key")) == {"apiKey": "", "configured": True}


def test_old_clients_name_all_parts_and_bring_their_key(server: Instance, hub: FakeHub) -> None:
    hub.repos["big/model"] = {f"Q4_0/m-Q4_0-0000{n}-of-00002.gguf": bytes([n]) * 10 for n in (1, 2)}
    hub.gated.add("big/model")
    files = [{"filename": path, "url": ""} for path in hub.repos["big/model"]]
    wish = {"isMultiPart": True, "files": files, "modelId": "big/model", "quantization": "Q4_0", "hfApiKey": hub.token}
    begun = ok(server.ask("POST", "/api/models/download", wish))
    assert (begun["partCount"], begun["quantization"], len(begun["downloadIds"])) == (2, "Q4_0", 1)
