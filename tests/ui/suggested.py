"""A hub on this machine that has every suggested model, as large as the list says; none can be fetched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from claracore.host.library.suggested import suggestions
from fakes.fake_hub import FakeHub, fake_hub


@contextlib.contextmanager
def suggested_hub() -> Iterator[FakeHub]:
    """Run it for the length of a block."""
    repos: dict[str, dict[str, bytes]] = {}
    sizes: dict[str, int] = {}
    for each in suggestions():
        name = each.repo.rpartition("/")[2]
        files = {f"{name}-{each.quantization}.gguf": each.bytes}
        if each.projector_bytes:
            files[f"mmproj-{name}-F16.gguf"] = each.projector_bytes
        repos[each.repo] = dict.fromkeys(files, b"")
        sizes |= files
    with fake_hub(repos=repos, sizes=sizes) as hub:
        yield hub
