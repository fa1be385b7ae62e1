from __future__ import annotations

import json
import stat
import time
from base64 import b64encode
from pathlib import Path

import pytest

from claracore.errors import BadRequest, Conflict, Forbidden, NotFound
from claracore.host.store.files import FileUnusable
from claracore.http.access.admitted import check_model
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keyring import KeyRing, presented
from claracore.http.access.keys import Grant, Right


def test_without_keys_none_is_needed_and_none_is_ours() -> None:
    ring = KeyRing()
    assert not ring.any
    assert ring.grant(b"") is None


def test_keys_of_the_configuration_may_do_everything() -> None:
    ring = KeyRing(["first", "second"])
    assert ring.any
    assert ring.grant(b"second") == Grant("apiKeys[1]")
    assert all(ring.grant(b"first").may(right) for right in Right)  # type: ignore[union-attr] # asserted above
    assert ring.grant(b"third") is None
    ring.use_plain(["third"])
    assert ring.grant(b"first") is None
    assert ring.grant(b"third") is not None


def test_a_named_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "state")
    text, key = file.add("ann", [Right.INFERENCE], models=["qwen"])
    assert text.startswith("cc-")
    assert text not in file.path.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.load() == (key,)
    ring = KeyRing((), file.load())
    grant = ring.grant(text.encode())
    assert grant == Grant("ann", frozenset({Right.INFERENCE}), frozenset({"qwen"}))
    check_model(grant, "qwen")
    with pytest.raises(Forbidden, match="'ann' is not for model 'phi'"):
        check_model(grant, "phi")
    assert not grant.may(Right.READ)


def test_admin_includes_read_and_not_inference() -> None:
    grant = Grant("boss", frozenset({Right.ADMIN}))
    assert grant.may(Right.READ)
    with pytest.raises(Forbidden, match="'boss' does not have the scope 'inference'"):
        check_model(grant, "qwen")


def test_an_expired_key_opens_nothing_and_still_keeps_the_door_shut(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    text, key = file.add("old", [Right.READ], expires_at=time.time() - 1)
    ring = KeyRing((), file.load())
    assert key.grant.expired(time.time())
    assert ring.grant(text.encode()) is None
    assert ring.any


def test_names_are_unique_and_plain(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.add("ann", [Right.READ])
    with pytest.raises(Conflict, match="ann"):
        file.add("ann", [Right.READ])
    for name in ("", " ann", "a" * 65, "a\nb", "../x", "<b>"):
        with pytest.raises(BadRequest):
            file.add(name, [Right.READ])
    with pytest.raises(BadRequest, match="inference, read, node, admin"):
        file.add("bob", [])
    with pytest.raises(NotFound):
        file.remove("bob")
    file.remove("ann")
    assert file.load() == ()


def test_the_file_tells_when_it_has_changed(tmp_path: Path) -> None:
    file, other = KeyFile(tmp_path), KeyFile(tmp_path)
    file.changed()
    assert not file.changed()
    other.add("ann", [Right.READ])
    assert file.changed()
    assert not file.changed()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"keys": [{"name": "a"}]}', '{"keys": [{"name":"a","sha256":"ab","scopes":[]}]}']
)
def test_a_damaged_file_is_an_error_and_opens_no_door(tmp_path: Path, text: str) -> None:
    file = KeyFile(tmp_path)
    file.path.write_text(text, encoding="utf-8")
    with pytest.raises(FileUnusable, match=r"keys\.json"):
        file.load()


def test_a_scope_of_another_version_is_an_error(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.add("ann", [Right.READ])
    told = json.loads(file.path.read_text(encoding="utf-8"))
    told["keys"][0]["scopes"] = ["everything"]
    file.path.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(FileUnusable):
        file.load()


def test_where_a_key_may_stand() -> None:
    def keys(authorization: bytes | None, x_api_key: bytes | None = None) -> list[tuple[bytes, bytes]]:
        given = {b"authorization": authorization, b"x-api-key": x_api_key}
        return list(presented({name: value for name, value in given.items() if value is not None}))

    assert keys(b"Bearer k") == [(b"authorization", b"k")]
    assert keys(b"bEaReR   k ") == [(b"authorization", b"k")]
    basic = [(b"authorization", b"k:x"), (b"authorization", b"user")]
    assert keys(b"Basic " + b64encode(b"user:k:x")) == basic
    assert keys(b"Basic " + b64encode(b":k")) == [(b"authorization", b"k")]
    assert list(presented({b"api-key": b"a ", b"x-goog-api-key": b"g"})) == [
        (b"api-key", b"a"),
        (b"x-goog-api-key", b"g"),
    ]
    assert keys(b"Basic !!!") == [(b"authorization", b"")]
    assert keys(b"Digest k") == []
    assert keys(None, b"k") == [(b"x-api-key", b"k")]
    assert keys(b"Bearer a", b"b") == [(b"authorization", b"a"), (b"x-api-key", b"b")]


def test_without_a_state_folder_keys_are_in_memory_beginning_with_those_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    _, ann = KeyFile(tmp_path / "claracore").add("ann", [Right.READ])
    text = (tmp_path / "claracore" / "keys.json").read_text()
    file = KeyFile(None)
    assert file.load() == (ann,)
    _, bob = file.add("bob", [Right.ADMIN])
    with pytest.raises(Conflict):
        file.add("bob", [Right.READ])
    assert file.load() == (ann, bob)
    file.remove("ann")
    assert file.load() == (bob,)
    assert (tmp_path / "claracore" / "keys.json").read_text() == text
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert KeyFile(None).load() == ()


def test_a_file_that_cannot_be_read_opens_no_door_without_a_state_folder_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "claracore" / "keys.json").mkdir(parents=True)
    with pytest.raises(FileUnusable, match="cannot be read"):
        KeyFile(None).load()
