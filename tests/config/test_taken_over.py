from __future__ import annotations

import pytest

from claracore.core.config.lines import read_plain
from claracore.core.config.taken_over import from_lm_studio, from_ollama

TEXT = "# by setup\nmodels:\n  a: {cmd: x}\n"


@pytest.mark.parametrize(
    ("settings", "listen", "ttl"),
    [
        ({}, "127.0.0.1:11434", 300),
        ({"OLLAMA_HOST": "127.0.0.1"}, "127.0.0.1:11434", 300),
        ({"OLLAMA_HOST": ":9000"}, "127.0.0.1:9000", 300),
        ({"OLLAMA_HOST": "http://localhost:9000/"}, "127.0.0.1:9000", 300),
        ({"OLLAMA_HOST": "[::1]"}, "127.0.0.1:11434", 300),
        ({"OLLAMA_KEEP_ALIVE": "24h"}, "127.0.0.1:11434", 86400),
        ({"OLLAMA_KEEP_ALIVE": "90"}, "127.0.0.1:11434", 90),
        ({"OLLAMA_KEEP_ALIVE": "-1"}, "127.0.0.1:11434", 0),
        ({"OLLAMA_KEEP_ALIVE": "-1m"}, "127.0.0.1:11434", 0),
        ({"OLLAMA_KEEP_ALIVE": "0"}, "127.0.0.1:11434", 1),
    ],
)
def test_what_ollama_was_told_is_said_here(settings: dict[str, str], listen: str, ttl: int) -> None:
    taken = from_ollama(TEXT, settings)
    assert taken.text.startswith("# by setup\n")
    assert read_plain(taken.text) == {"models": {"a": {"cmd": "x"}}, "ollama": {"listen": listen}, "globalTTL": ttl}
    assert len(taken.sentences) == 2


def test_a_server_that_others_reached_is_not_opened_by_the_way() -> None:
    taken = from_ollama(TEXT, {"OLLAMA_HOST": "0.0.0.0:9000"})
    assert read_plain(taken.text)["ollama"] == {"listen": "127.0.0.1:9000"}
    assert "OLLAMA_HOST=0.0.0.0:9000: others reach this machine only if ollama.listen is :9000" in taken.sentences


def test_what_a_file_says_already_stays() -> None:
    text = TEXT + "ollama: {listen: 127.0.0.1:1}\nglobalTTL: 7\n"
    taken = from_ollama(text, {"OLLAMA_KEEP_ALIVE": "1h"})
    assert taken.text == text
    assert taken.sentences == ("ollama.listen stays 127.0.0.1:1", "globalTTL stays 7")


def test_what_means_something_else_here_is_said() -> None:
    taken = from_ollama(TEXT, {"OLLAMA_CONTEXT_LENGTH": "8192", "OLLAMA_KEEP_ALIVE": "soon"})
    assert any("claracore setup --ctx 8192" in sentence for sentence in taken.sentences)
    assert any(sentence.startswith("OLLAMA_KEEP_ALIVE=soon is not understood") for sentence in taken.sentences)
    assert "globalTTL" not in read_plain(taken.text)


def test_lm_studio_keeps_models_for_an_hour() -> None:
    assert read_plain(from_lm_studio("").text) == {"globalTTL": 3600}
