"""What is made of what the hub says about repositories that a search has found?"""

from __future__ import annotations

from claracore.core.pull.found import FoundRepository, repositories_found

ROW = {
    "id": "org/one-GGUF",
    "downloads": 1234,
    "likes": 7,
    "gated": "manual",
    "gguf": {"total": 8_000_000_000, "context_length": 8192, "architecture": "llama"},
    "tags": ["gguf", "license:apache-2.0"],
    "pipeline_tag": "text-generation",
    "lastModified": "2026-01-01T00:00:00.000Z",
}


def test_all_that_the_hub_says() -> None:
    assert repositories_found([ROW]) == [
        FoundRepository(
            "org/one-GGUF", 1234, 7, True, 8_000_000_000, 8192, "apache-2.0", "text-generation",
            "2026-01-01T00:00:00.000Z",
        )
    ]  # fmt: skip


def test_what_is_not_as_expected_is_not_known() -> None:
    odd = {"id": "org/two", "downloads": "many", "likes": True, "gguf": [], "tags": "gguf", "pipeline_tag": 5}
    assert repositories_found([odd, {"id": "../up"}, {"id": 5}, "text", {}, {"id": "no-organisation"}]) == [
        FoundRepository("org/two", None, None, False, None, None, "", "", "")
    ]
    assert repositories_found({"error": "no"}) == []
