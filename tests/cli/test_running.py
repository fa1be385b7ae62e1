"""The verbs that talk to a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from claracore.cli import terminal
from claracore.cli.client import ServerSaid, complete_model
from claracore.cli.index import ELSEWHERE, VERBS, verb
from claracore.cli.verb import VerbGroup
from claracore.errors import BadRequest, Conflict, NotFound
from cli.runner import Result, invoke
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""\
startPort: {free_run(8).start}
models:
  one:
    cmd: '{fake()}'
    aliases: [eins]
  two:
    cmd: '{fake()}'
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("cli")
    configured(folder, CONFIG)
    with instance(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CLARACORE_API_KEY", raising=False)
    monkeypatch.delenv("CLARACORE_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def say(*words: str, exit_code: int = 0) -> Result:
    result = invoke(words)
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def test_load_ps_unload(server: Instance) -> None:
    at = ("--url", server.url)
    say("unload", *at)
    assert say("ps", *at).stdout == "none of the 2 models runs\n"
    assert say("load", "eins", *at).stdout.startswith("one is ready on port ")
    shown = say("ps", *at).stdout.splitlines()
    assert shown[0].split()[:3] == ["model", "state", "port"]
    assert shown[1].split()[:2] == ["one", "ready"]
    assert shown[3].startswith("ram ")
    assert "A one " in shown[3]
    assert [model["id"] for model in json.loads(say("ps", "--all", "--json", *at).stdout)] == ["one", "two"]
    assert say("unload", "one", "two", *at).stdout == "unloaded one\ntwo was not loaded\n"
    assert say("unload", "eins", *at).stdout == "eins was not loaded\n"
    say("load", "two", *at)
    assert json.loads(say("unload", "one", "two", "--json", *at).stdout) == {"unloaded": ["two"], "not_loaded": ["one"]}
    assert json.loads(say("unload", "--json", *at).stdout) == {"unloaded": "all", "not_loaded": []}


def test_loading_what_cannot_be_loaded_says_why(server: Instance) -> None:
    result = say("load", "three", "--url", server.url, exit_code=1)
    assert isinstance(result.exception, ServerSaid)
    assert "three" in str(result.exception)
    assert result.exception.code == "model_not_found"
    assert "404" not in str(result.exception)
    assert json.loads(say("load", "one", "--json", "--url", server.url).stdout)["state"] == "ready"


def test_status(server: Instance) -> None:
    text = say("status", "--url", server.url).stdout
    assert server.url in text
    assert "models    2:" in text
    told = json.loads(say("status", "--json", "--url", server.url).stdout)
    assert told.keys() == {"server", "models", "requests", "ports", "stats"}


def test_nodes(server: Instance) -> None:
    head, here = say("nodes", "--url", server.url).stdout.splitlines()
    assert head.split()[:3] == ["node", "kind", "state"]
    assert here.split()[:3] == ["local", "local", "up"]
    (row,) = json.loads(say("nodes", "--json", "--url", server.url).stdout)
    assert [model["name"] for model in row["models"]] == ["one", "two"]


def test_logs(server: Instance) -> None:
    say("load", "one", "--url", server.url)
    assert "model one: starting" in say("logs", "--url", server.url).stdout
    assert "listening on" in say("logs", "eins", "-n", "50", "--url", server.url).stdout
    assert json.loads(say("logs", "one", "--json", "--url", server.url).stdout)["source"] == "one"


def test_requests(server: Instance) -> None:
    assert say("requests", "--url", server.url).stdout == "no requests are in flight\n"
    assert json.loads(say("requests", "--json", "--url", server.url).stdout) == []
    with pytest.raises(ServerSaid, match="no request 99"):
        raise say("requests", "--cancel", "99", "--url", server.url, exit_code=1).exception or AssertionError


def test_chat_and_bench(server: Instance) -> None:
    assert say("chat", "one", "hello", "--url", server.url).stdout.strip()
    messages = json.loads(say("chat", "one", "hello", "--system", "be kind", "--json", "--url", server.url).stdout)
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    typed = invoke(["chat", "one", "--url", server.url], typed="one\ntwo\n\nnever said\n")
    assert typed.exit_code == 0
    found = json.loads(say("bench", "one", "-n", "4", "-c", "2", "--json", "--url", server.url).stdout)
    assert (found["requests"], found["errors"]) == (4, 0)
    assert found["tokens"] > 0
    assert "4 answers" in say("bench", "one", "-n", "4", "--url", server.url).stdout


def test_doctor_with_and_without_a_server(server: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = invoke(["doctor", "--json", "--url", server.url])
    assert {check["name"] for check in json.loads(told.stdout)["checks"]} >= {"versions", "config", "disk", "ports"}
    monkeypatch.chdir(tmp_path)
    text = say("doctor", "--url", "http://127.0.0.1:1", exit_code=1).stdout
    assert "no server runs" in text
    assert "there is no config.yaml" in text
    configured(tmp_path, "models:\n  a:\n    cmd: /nope --port ${PORT}\n")
    assert "/nope does not exist" in say("doctor", "--url", "http://127.0.0.1:1", exit_code=1).stdout


def completed(line: str, folder: Path) -> set[str]:
    """What argcomplete's script is told for a line with the cursor at its end: on descriptor 8 (its README)."""
    told = folder / "told"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    claracore = [sys.executable, "-m", "claracore"]
    subprocess.run(["sh", "-c", 'exec 8>"$0"; exec "$@"', told, *claracore], env=os.environ | asked, check=True)
    return {word.strip() for word in told.read_text().split("\n")} - {""}


def test_the_shell_completes_models(server: Instance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLARACORE_URL", server.url)
    for word in ("load", "unload", "logs", "chat", "bench"):
        offered = completed(f"claracore {word} ", tmp_path)
        assert {"eins", "one", "two"} <= offered, word
        assert all(name.startswith("-") for name in offered - {"eins", "one", "two"})
    assert {"--follow", "--lines"} <= completed("claracore logs --", tmp_path)
    assert completed("claracore p", tmp_path) == {"ports", "ps", "pull"}
    assert completed("claracore config mi", tmp_path) == {"migrate"}
    assert complete_model("t") == ["two"]
    monkeypatch.setenv("CLARACORE_URL", "http://127.0.0.1:1")
    assert complete_model("t") == []


def test_nobody_answers() -> None:
    for words in (["ps"], ["status"], ["load", "x"], ["logs"], ["chat", "x", "y"], ["bench", "x"]):
        assert "no server answers" in say(*words, "--url", "http://127.0.0.1:1", exit_code=3).stderr


def test_an_unknown_model_is_said_plainly(server: Instance) -> None:
    result = say("load", "nope", "--url", server.url, exit_code=1)
    assert isinstance(result.exception, ServerSaid)
    assert "'nope' is not known" in str(result.exception)


def test_a_url_that_is_none() -> None:
    assert isinstance(say("ps", "--url", "http://", exit_code=1).exception, BadRequest)


def test_keys() -> None:
    assert say("keys", "list").stdout == "there are no named keys\n"
    made = say("keys", "add", "ann", "--scope", "admin", "--scope", "inference", "--expires", "30d")
    assert made.stdout.startswith("cc-")
    assert "not shown again" in made.stderr
    guest = say("keys", "add", "guest", "--model", "one", "--json")
    assert json.loads(guest.stdout)["models"] == ["one"]
    listed = say("keys", "list").stdout
    assert "ann" in listed
    assert made.stdout.strip() not in listed
    assert {key["name"] for key in json.loads(say("keys", "list", "--json").stdout)} == {"ann", "guest"}
    assert isinstance(say("keys", "add", "ann", exit_code=1).exception, Conflict)
    assert isinstance(say("keys", "remove", "nobody", exit_code=1).exception, NotFound)
    assert isinstance(say("keys", "add", "x", "--expires", "soon", exit_code=1).exception, BadRequest)
    limited = say("keys", "add", "lim", "--requests-per-minute", "10", "--tokens-per-day", "200000", "--json")
    assert json.loads(limited.stdout)["limits"] == {"requests_per_minute": 10, "tokens_per_day": 200_000}
    assert "10 requests a minute, 200,000 tokens a day" in say("keys", "list").stdout
    assert "lim: 3 at a time" in say("keys", "limit", "lim", "--concurrency", "3").stdout
    assert "requests a minute" not in say("keys", "list").stdout
    assert isinstance(say("keys", "limit", "nobody", exit_code=1).exception, NotFound)
    say("keys", "add", "x", "--concurrency", "0", exit_code=2)
    say("keys", "remove", "ann")
    assert "ann" not in say("keys", "list").stdout


def test_keys_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, CONFIG)
    with instance(tmp_path) as other:
        at = ("--url", other.url)
        assert say("keys", "list", *at).stdout == "there are no named keys\n"
        made = say("keys", "add", "ann", "--scope", "admin", "--model", "eins", *at)
        assert "not shown again" in made.stderr
        assert "set CLARACORE_API_KEY" in str(say("keys", "list", *at, exit_code=1).exception)
        monkeypatch.setenv("CLARACORE_API_KEY", made.stdout.strip())
        guest = json.loads(say("keys", "add", "guest", "--concurrency", "2", "--expires", "30d", "--json", *at).stdout)
        assert guest["key"].startswith("cc-")
        assert "3 at a time" in say("keys", "limit", "guest", "--concurrency", "3", *at).stdout
        listed = say("keys", "list", *at).stdout
        assert "3 at a time" in listed
        assert "one" in listed
        assert say("keys", "remove", "guest", *at).stdout == "guest is removed\n"
        assert "guest" not in say("keys", "list", *at).stdout
        assert isinstance(say("keys", "remove", "a/b", *at, exit_code=1).exception, ServerSaid)


def test_the_first_key_should_administer() -> None:
    assert "no key has the scope admin" in say("keys", "add", "guest").stderr


def test_a_key_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, "apiKeys: [sesame]\n" + CONFIG)
    with instance(tmp_path) as locked:
        result = say("ps", "--url", locked.url, exit_code=1)
        assert "set CLARACORE_API_KEY" in str(result.exception)
        monkeypatch.setenv("CLARACORE_API_KEY", "sesame")
        say("ps", "--url", locked.url)
        assert not any("sesame" in line for line in locked.lines)


def test_a_verb_does_not_load_the_server() -> None:
    """It takes a second, in which a shell that completes a name would have its answer."""
    heavy = "('fastapi', 'pydantic', 'rich', 'asyncio', 'argcomplete')"
    code = f"import sys, claracore.cli.models; sys.exit(sum(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_once(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    settings = {"bash": ".bashrc", "zsh": ".zshrc"}.get(shell)
    if settings is not None:
        (tmp_path / settings).write_text("alias ll='ls -l'\n")
    for words in (["--install-completion"], ["--install-completion", shell]):
        assert str(tmp_path) in say(*words).stdout
    written = [path for path in tmp_path.rglob("*claracore*") if path.is_file()]
    assert len(written) == 1
    assert written[0].read_text() in say("--show-completion").stdout
    if settings is not None:
        assert (tmp_path / settings).read_text().count(str(written[0])) == 1
        assert "alias ll" in (tmp_path / settings).read_text()


def test_a_shell_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(say("--show-completion", "tcsh", exit_code=1).exception, BadRequest)
    monkeypatch.delenv("SHELL", raising=False)
    assert isinstance(say("--install-completion", exit_code=1).exception, BadRequest)


def test_what_earlier_versions_have_installed_starts_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CLARACORE_COMPLETE", "complete_bash")
    assert say().output == ""


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_where_the_table_says_and_explains_itself(name: str) -> None:
    found = verb(name)
    assert found.summary.startswith(VERBS[name].summary.rstrip("."))
    assert VERBS[name].summary in say("--help").stdout
    assert f"claracore {name}" in say(name, "--help").stdout
    for word, each in found.verbs.items() if isinstance(found, VerbGroup) else ():
        assert each.summary
        assert f"claracore {name} {word}" in say(name, word, "--help").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pss"], "did you mean 'ps'"),
        (["srve"], "did you mean 'serve'"),
        (["run", "qwen"], "did you mean 'chat'"),
        (["lst"], "did you mean 'ps --all'"),
        (["help", "staus"], "did you mean 'status'"),
        (["ps", "--nope"], "unrecognized arguments: --nope"),
        (["ps", "--al"], "unrecognized arguments: --al"),
        (["logs", "-n", "0"], "from 1 to 2000"),
        (["logs", "-n", "many"], "invalid int value"),
        (["config", "chekc"], "did you mean 'check'"),
        (["load"], "required: model"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["ports", "--listen", "-x"], "-x"),
        (["--listen", "5801", "ports"], "unrecognized arguments: ports (a verb comes first"),
        (["ports", "--config", "c.yaml", "why", "80"], "unrecognized arguments: why 80 (a verb comes first"),
        (["keys", "add", "x", "--scope", "everything"], "invalid Right value"),
    ],
)
def test_words_that_cannot_be_understood(words: list[str], said: str) -> None:
    assert said in say(*words, exit_code=2).stderr


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["help"], ["--help"]),
        (["help", "serve"], ["serve", "--help"]),
        (["help", "config"], ["config", "--help"]),
        (["help", "config", "check"], ["config", "check", "--help"]),
    ],
)
def test_help_is_a_verb_too(words: list[str], same: list[str]) -> None:
    assert say(*words).stdout == say(*same).stdout


def test_what_others_call_a_verb_is_one_of_ours() -> None:
    for name, ours in ELSEWHERE.items():
        assert name not in VERBS
        assert ours.split()[0] in VERBS or ours == "--version"


def test_serve_reads_what_no_verb_reads(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.yaml")
    for words in ([], ["serve"]):
        result = say(*words, "--config", missing, "--listen", ":0", exit_code=1)
        assert "missing.yaml" in str(result.exception)


def test_a_group_without_a_verb_explains_itself() -> None:
    assert "migrate" in say("config", exit_code=2).stdout


def test_options_may_stand_between_words(server: Instance) -> None:
    assert say("chat", "one", "--url", server.url, "hello").stdout.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["keys", "remove", "--", "-x"], "there is no key '-x'"),
        (["keys", "add", "--scope", "read", "--", "-x"], "'-x': a name has up to 64 letters"),
        (["keys", "add", "x", "--expires", "-1d"], "--expires '-1d': write 12h"),
        (["logs", "-n", "-1"], "-1 is not from 1 to 2000"),
        (["ports", "why", "--", "-5"], "-5 is not from 1 to 65535"),
        (["keys", "add", "x", "--expires", "--json"], "expected one argument"),
        (["keys", "remove", "-x"], "required"),
    ],
)
def test_a_word_with_a_dash_is_an_option_only_where_one_may_be(words: list[str], said: str) -> None:
    result = invoke(words)
    assert said in f"{result.output}{result.exception}"


def test_a_message_with_a_dash_is_said(server: Instance) -> None:
    spoken = json.loads(say("chat", "one", "--json", "--system", "-s", "--url", server.url, "--", "-m").stdout)
    assert [each["content"] for each in spoken[:2]] == ["-s", "-m"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_nothing_is_printed_where_nobody_listens(redirection: str) -> None:
    command = f'"{sys.executable}" -m claracore keys list {redirection}'
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_codes_for_terminals_are_not_printed_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("\x1b[1;31mred\x1b[0m \x1b[?25hnot", style="green")
    assert capsys.readouterr().out == "red not\n"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", "ü✓"), ("ascii:surrogateescape", "ü✓"), ("latin-1", "ü\\u2713"), ("utf-8", "ü✓")],
)
def test_every_character_is_printed_whatever_the_encoding(encoding: str, printed: str) -> None:
    code = "from claracore.cli.terminal import accept_any_text, say; accept_any_text(); say('ü✓')"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, check=True
    )
    assert ended.stdout.decode("latin-1" if encoding == "latin-1" else "utf-8").strip() == printed


def test_unloading_says_for_whose_answers_it_waits(server: Instance) -> None:
    """On stderr, so that a pipe has the result alone."""
    say("load", "one", "--url", server.url)
    at = urlsplit(server.url)
    asked = {"model": "one", "stream": True, "fake": {"chunks": 6, "hold_after": 3}, "messages": []}
    connection = HTTPConnection(at.hostname or "", at.port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"})
    connection.getresponse().read(1)  # it is being written
    line = (sys.executable, "-m", "claracore", "unload", "eins", "--url", server.url)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as unloading:
        assert unloading.stderr is not None
        assert unloading.stderr.readline() == (
            "waiting for 1 answer of one to end, for as long as `unloadTimeout` allows\n"
        )
        connection.close()  # whoever asked has gone
        out, errors = unloading.communicate(timeout=30)
    assert (out, errors, unloading.returncode) == ("unloaded eins\n", "", 0)
