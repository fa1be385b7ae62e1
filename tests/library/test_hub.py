"""What the hub is asked, what it may answer, and who gets the token."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from claracore.core.pull.choice import NoSuchFile
from claracore.errors import ClaraCoreError
from claracore.host.library.download import DownloadStatus
from claracore.host.library.hub_errors import Gated, HubUnreachable, NotOnHub
from claracore.host.library.hub_tokens import HubToken
from fakes.fake_hub import FakeHub, Fault
from library.desk import PLACE, REPO, Desk, at_desk


def test_a_listing_is_read_to_its_last_page(hub: FakeHub, tmp_path: Path) -> None:
    hub.page_size = 1

    async def talk(desk: Desk) -> None:
        assert (await desk.pull(f"{REPO}:q8_0")).status is DownloadStatus.FINISHED

    assert at_desk(hub, tmp_path, talk).files == [f"{REPO}/tiny-Q8_0.gguf"]
    assert sum("/tree/" in one.path for one in hub.seen) == 3


def test_a_listing_that_goes_on_elsewhere_is_not_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.next_link = f"{hub.cdn}/steal"

    async def talk(desk: Desk) -> None:
        with pytest.raises(HubUnreachable, match="another host"):
            await desk.start()

    at_desk(hub, tmp_path, talk, HF_TOKEN=hub.token)
    assert hub.asked("cdn") == []


def test_the_token_is_for_the_hub_and_never_in_the_log(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated.add(REPO)
    hub.faults.append(Fault(status=503))
    caplog.set_level(logging.DEBUG)

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk, HF_TOKEN=hub.token)
    assert all(one.headers.get("authorization") == f"Bearer {hub.token}" for one in hub.asked("hub"))
    assert hub.asked("cdn")
    assert not any("authorization" in one.headers or hub.token in str(one) for one in hub.asked("cdn"))
    assert hub.token not in caplog.text
    assert "signature=secret" not in "".join(
        record.getMessage() for record in caplog.records if "claracore" in record.name
    )


def test_a_gated_model_says_what_to_do(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated.add(REPO)

    async def talk(desk: Desk) -> None:
        with pytest.raises(Gated, match=r"is gated: ask for access .*HF_TOKEN"):
            await desk.start()
        desk.downloads.hub.tokens.keep(hub.token)
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)
    assert (tmp_path / "state" / "hub-token").stat().st_mode & 0o777 == 0o600


def test_a_private_model_is_only_there_for_those_who_may_see_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.hidden.add(REPO)

    async def without(desk: Desk) -> None:
        with pytest.raises(NotOnHub, match="or only for those whom it knows: see HF_TOKEN"):
            await desk.start()

    async def knowing(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, without)
    at_desk(hub, tmp_path, knowing, HF_TOKEN=hub.token)


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.listing_faults += [Fault(status=429, headers={"Retry-After": "3"}), Fault(status=502)]

    async def talk(desk: Desk) -> None:
        assert (await desk.pull()).status is DownloadStatus.FINISHED
        hub.listing_faults.append(Fault(status=429, headers={"Retry-After": "60"}))
        with pytest.raises(HubUnreachable, match="429") as caught:
            await desk.start()
        assert caught.value.retry_after_seconds == 60

    assert at_desk(hub, tmp_path, talk).pauses == [3, 2]


def test_what_the_hub_says_about_a_refusal_is_told(hub: FakeHub, tmp_path: Path) -> None:
    said = "Access to this resource is disabled."
    hub.listing_faults.append(Fault(status=403, headers={"X-Error-Message": said}))

    async def talk(desk: Desk) -> None:
        with pytest.raises(Gated, match=f"refuses {REPO}: {said}"):
            await desk.start()

    at_desk(hub, tmp_path, talk)


def test_a_wrong_token_is_told_with_where_it_comes_from(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        with pytest.raises(Gated, match="does not accept the token") as caught:
            await desk.start()
        assert "HF_TOKEN" in caught.value.message
        assert "hf_wrong" not in caught.value.message

    at_desk(hub, tmp_path, talk, HF_TOKEN="hf_wrong")


def test_a_token_that_comes_with_a_download_is_used_for_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated.add(REPO)
    token = HubToken(hub.token, "the request")

    async def talk(desk: Desk) -> None:
        plan, _files = await desk.downloads.hub.look(REPO, token=token)
        download = await desk.downloads.add(plan, desk.folder, token=token)
        await desk.downloads.idle()
        assert download.status is DownloadStatus.FINISHED

    at_desk(hub, tmp_path, talk)


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("org/tinny-GGUF", NotOnHub, "did you mean org/tiny"),
        ("org/nothing-like-it", NotOnHub, r"no such repository on 127.0.0.1:\d+: org/nothing-like-it"),
        (f"{REPO}@v9", NotOnHub, "no such revision"),
        (f"{REPO}:Q4_K_S", NoSuchFile, "did you mean Q4_K_M"),
        (f"{REPO}/tiny-q4.gguf", NoSuchFile, "did you mean tiny-Q4_K_M.gguf"),
        ("org/tiny", NoSuchFile, f"others have: {REPO}"),
    ],
)
def test_what_is_not_there_comes_with_near_names(
    hub: FakeHub, tmp_path: Path, reference: str, error: type[ClaraCoreError], words: str
) -> None:
    hub.repos |= {"org/tinny-small": {"x": b""}, "org/tiny": {"model.safetensors": b"x"}}
    if reference == "org/tinny-GGUF":
        hub.repos = {"org/tiny-x": {}, "org/tinny": {}, REPO: {}}
        words = "did you mean org/tinny"

    async def talk(desk: Desk) -> None:
        with pytest.raises(error, match=words) as caught:
            await desk.start(reference)
        assert caught.value.status == 404

    at_desk(hub, tmp_path, talk)


def test_names_that_climb_out_of_the_folder_are_not_seen(hub: FakeHub, tmp_path: Path) -> None:
    for path in (
        "../../evil.gguf",
        "/etc/evil.gguf",
        "a/../../evil.gguf",
        "..\\evil.gguf",
        ".hidden.gguf",
        "a//b.gguf",
    ):
        hub.more_entries.append({"type": "file", "path": path, "size": 1, "oid": "0" * 40, "lfs": {"oid": "0" * 64}})

    async def talk(desk: Desk) -> None:
        _plan, files = await desk.downloads.hub.look(REPO)
        assert not [file for file in files if "evil" in file.path or "hidden" in file.path or "//" in file.path]
        with pytest.raises(ClaraCoreError):
            await desk.start(f"{REPO}/../../evil.gguf")
        assert (await desk.pull()).status is DownloadStatus.FINISHED

    folder = tmp_path / "downloads"
    assert at_desk(hub, folder, talk).files == [PLACE]
    assert not list(tmp_path.rglob("evil*"))


def test_a_redirect_to_something_else_is_not_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.redirect_to = "file:///etc/passwd"

    async def talk(desk: Desk) -> None:
        assert "not followed" in ((await desk.pull()).error or "")

    at_desk(hub, tmp_path, talk)


def test_an_offline_machine_and_a_wrong_endpoint_are_told(hub: FakeHub, tmp_path: Path) -> None:
    async def talk(desk: Desk) -> None:
        with pytest.raises(ClaraCoreError) as caught:
            await desk.start()
        said.append(caught.value.message)

    said: list[str] = []
    at_desk(hub, tmp_path, talk, HF_HUB_OFFLINE="1")
    at_desk(hub, tmp_path, talk, HF_ENDPOINT="ftp://x")
    at_desk(hub, tmp_path, talk, HF_ENDPOINT="http://127.0.0.1:1")
    assert [
        words in text for words, text in zip(("HF_HUB_OFFLINE", "HF_ENDPOINT", "cannot be reached"), said, strict=True)
    ]
    assert "127.0.0.1:1 cannot be reached" in said[2]
