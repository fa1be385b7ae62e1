"""Rows of activity for tests."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from claracore.host.activity.rows import ActivityRow

PLAIN = ActivityRow(
    id=1,
    at=1_800_000_000.0,
    model="qwen",
    requested="qwen",
    path="/v1/chat/completions",
    status=200,
    stream=True,
    key=None,
    client="127.0.0.1",
    queue_seconds=0.0,
    load_seconds=0.0,
    first_token_seconds=0.1,
    total_seconds=1.0,
    prompt_tokens=10,
    cached_tokens=0,
    completion_tokens=20,
    prompt_per_second=100.0,
    tokens_per_second=20.0,
    error=None,
    has_capture=False,
    request_id=None,
    content_type="text/event-stream",
    draft_tokens=None,
    accepted_tokens=None,
    tokens_counted=False,
    session=None,
    selector=None,
    priority=None,
)


def row(**different: Any) -> ActivityRow:
    return replace(PLAIN, **different)
