from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claracore.core.config.command import bind, in_place, split, uses_port, words_of
from claracore.core.config.load import load
from claracore.core.config.model import ModelConfig


@pytest.mark.parametrize(
    ("cmd", "argv"),
    [
        ("", []),
        ("  \n ", []),
        ("a b\tc\nd", ["a", "b", "c", "d"]),
        ("a \\\n  b \\  \n c", ["a", "b", "c"]),
        ("# no\n  # nor this\na #but this", ["a", "#but", "this"]),
        ("a '' \"\" ''b", ["a", "", "", "b"]),
        (r"a\ b 'c d' \"e", ["a b", "c d", '"e']),
        (r'"a \"b\" \n \\"', [r'a "b" \n ' + "\\"]),
        (r'"\$X \`x\` \! \a" \$X', [r"$X `x` \! \a", "$X"]),
        (r"'\$X \\'", [r"\$X \\"]),
        ("--x='{\"a\": 1}'", ['--x={"a": 1}']),
    ],
)
def test_a_command_line_is_split_as_a_shell_would(cmd: str, argv: list[str]) -> None:
    assert split(cmd) == argv


@pytest.mark.parametrize("cmd", ["a 'b", 'a "b', "a \\", '"\\"'])
def test_what_is_not_closed_is_refused(cmd: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|at the end"):
        split(cmd)


@pytest.mark.parametrize(
    ("cmd", "argv"),
    [
        (r"C:\bin\llama.exe -m C:\m.gguf", [r"C:\bin\llama.exe", "-m", r"C:\m.gguf"]),
        (r'"C:\Program Files\x.exe" a\ b', [r"C:\Program Files\x.exe", "a\\", "b"]),
        ("it's fine", ["it's", "fine"]),
    ],
)
def test_windows_knows_only_double_quotes(cmd: str, argv: list[str]) -> None:
    assert split(cmd, windows=True) == argv


@given(st.lists(st.text(min_size=0, max_size=8).filter(lambda word: "\n" not in word and "\r" not in word)))
def test_what_shlex_joins_is_split_again(words: list[str]) -> None:
    assert split("x " + shlex.join(words)) == ["x", *words]


@given(st.text(" ab'\"\\#\t", max_size=20).filter(lambda text: not text.lstrip().startswith("#")))
def test_splitting_agrees_with_shlex(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError):
            split(text)
    else:
        assert split(text) == expected
        assert [word.text for word in words_of(text)] == expected


EXPANDS = re.compile(r"\$['\"$]|`")


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="it has no sh")
@settings(max_examples=60)
@given(st.text(" .'\"\\$`", max_size=16).filter(lambda text: not EXPANDS.search(re.sub(r"\\.", "", text))))
@example(r'"\$X" \$X "\`" "\a\"\\"')
def test_splitting_agrees_with_a_shell(text: str) -> None:
    """Where it puts nothing in place: shlex does not know that `$` and the backquote may be escaped in quotes."""
    script = f"for word in {text}\ndo printf '%s\\0' \"$word\"\ndone"
    said = subprocess.run(["sh", "-fc", script], capture_output=True, text=True, check=False)
    try:
        words = split(text)
    except ValueError:
        assert said.returncode != 0 or text.endswith("\\")
    else:
        assert said.stdout.split("\0")[:-1] == words


MODEL = ModelConfig(
    id="m",
    cmd='server --port ${PORT} --sock ${SOCKET} -m "my model.gguf"',
    cmd_stop="kill ${PID}",
    proxy="http://localhost:${PORT}/v1",
    env=("A=1", "URL=http://h:${PORT}/?x=y", "EMPTY="),
)


def test_what_is_known_at_the_start_is_put_in_place() -> None:
    bound = bind(MODEL, port=8100, socket="/run/my dir/m.sock", pid=7)
    assert bound.argv == ("server", "--port", "8100", "--sock", "/run/my dir/m.sock", "-m", "my model.gguf")
    assert bound.stop_argv == ("kill", "7")
    assert bound.proxy == "http://localhost:8100/v1"
    assert bound.env == {"A": "1", "URL": "http://h:8100/?x=y", "EMPTY": ""}


def test_what_is_not_known_yet_stays() -> None:
    assert bind(MODEL, port=1).stop_argv == ("kill", "${PID}")
    assert bind(ModelConfig(id="m", cmd="x"), port=1).stop_argv == ()


def test_only_a_tcp_model_that_asks_for_a_port_is_given_one() -> None:
    assert uses_port(ModelConfig(id="m", cmd="x ${PORT}"))
    assert not uses_port(ModelConfig(id="m", cmd="x --port 1"))
    assert not uses_port(ModelConfig(id="m", cmd="x ${PORT}", transport="unix"))


def test_the_port_is_bound_late() -> None:
    loaded = load("models: {m: {cmd: 'x ${PORT}'}}", env={})
    assert loaded.config is not None
    assert loaded.config.models["m"].cmd == "x ${PORT}"


def test_metadata_has_the_port_as_a_number() -> None:
    metadata = {"port": "${PORT}", "note": "on ${PORT}", "list": [1, None, "${PORT}"], "in": {"s": "${SOCKET}"}}
    assert in_place(metadata, port=8100) == {
        "port": 8100,
        "note": "on 8100",
        "list": [1, None, 8100],
        "in": {"s": "${SOCKET}"},
    }
    assert in_place(metadata) == metadata
