"""Files behind flags are found however they are written, several in one word too."""

from __future__ import annotations

import pytest

from claracore.core.config.file_flags import ALL, NEEDED, WEIGHTS, named_behind


@pytest.mark.parametrize(
    ("cmd", "needed", "weights"),
    [
        ("-m a --mmproj=b -md c --spec-draft-model d", ["a", "b", "c", "d"], []),
        ("--lora a,b --lora=c,,d", ["a", "b", "c", "d"], []),
        ("-m a,b --control-vector c,d -mv e", ["a,b"], ["c", "d", "e"]),
        ("--chat-template-file t --lora-scaled a:1 --api-key-file k -m", [], []),
        ("--model= --lora= -c 5", [], []),
    ],
)
def test_files_are_named_behind_flags(cmd: str, needed: list[str], weights: list[str]) -> None:
    words = cmd.split()
    assert list(named_behind(NEEDED, words)) == needed
    assert list(named_behind(WEIGHTS, words)) == [*needed, *weights]


def test_files_of_whoever_runs_it_are_none_of_the_models() -> None:
    assert not {flag for flag in ALL if any(word in flag for word in ("key", "ssl", "log", "path", "save"))}
