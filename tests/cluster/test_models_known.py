"""What machines had is known over a restart, for as long as they are where they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.host.cluster.models_known import FILE, KnownModels, ModelsKnown

KNOWN = {"desk": KnownModels("http://desk:5800", ("x", "org/y", "ö\ud800")), "lap": KnownModels("http://lap", ())}


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    ModelsKnown(tmp_path / "state").save(KNOWN)
    assert ModelsKnown(tmp_path / "state").load() == KNOWN
    ModelsKnown(tmp_path / "state").save({})
    assert ModelsKnown(tmp_path / "state").load() == {}


@pytest.mark.parametrize("text", [b"[]", b'{"desk": 3}', b'{"desk": {"url": "u"}}'])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    assert ModelsKnown(tmp_path).load() == {}


def test_without_a_folder_nothing_is_kept() -> None:
    ModelsKnown(None).save(KNOWN)
    assert ModelsKnown(None).load() == {}
