"""Every command in the papers is run, or says what it needs that is not here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.fences import INDENTED, REASONS, UNLABELLED, Fence, fences, papers
from docs.house import CONFIG, MODEL, House
from e2e.instance import Instance, instance

PAPERS = papers()


def is_run(fence: Fence) -> bool:
    return fence.excuse is None and (fence.is_shell or fence.language == "python")


def with_commands(*, long: bool) -> list[object]:
    """Return the pages that have something to run."""
    return [
        pytest.param(page, id=page.name)
        for page in PAPERS
        if any(is_run(fence) and fence.is_long is long for fence in fences(page))
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "config.yaml").write_text(CONFIG.format(model=MODEL))
    options = ("--config", "config.yaml", "--log-level", "debug", "--log-file", "debug.log")
    with instance(folder, *options, env={"HOME": str(folder)}) as running:
        yield running.ready()


@pytest.fixture
def house(server: Instance, tmp_path: Path) -> House:
    return House.furnished(tmp_path, server.url, server.folder / "debug.log")


def follow(page: Path, house: House, *, long: bool) -> None:
    for fence in fences(page):
        if fence.name and not fence.is_shell:
            house.put(fence)
        elif is_run(fence) and fence.is_long is long:
            house.follow(fence)


@pytest.mark.parametrize("page", with_commands(long=False))
def test_what_a_page_says_works(page: Path, house: House) -> None:
    follow(page, house, long=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_commands(long=True))
def test_what_takes_long_works(page: Path, house: House) -> None:
    follow(page, house, long=True)


@pytest.mark.parametrize("page", PAPERS, ids=lambda page: str(page.name))
def test_what_is_not_run_says_why(page: Path) -> None:
    unknown = {fence.place: fence.excuse for fence in fences(page) if fence.excuse not in {None, *REASONS}}
    assert not unknown, f"no reason of the list: {unknown}; there are {sorted(REASONS)}"


@pytest.mark.parametrize("page", PAPERS, ids=lambda page: str(page.name))
def test_commands_stand_in_fences(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for fence in fences(page):
        if fence.language in {"", "text"}:
            assert not UNLABELLED.findall(fence.text), f"{fence.place}: say `sh` or `console`, so that it is run"
        text = text.replace("".join(f"{line}\n" for line in fence.text.splitlines()), "")
    assert not INDENTED.findall(text), f"{page.name}: put commands into a fence (```sh), so that they are run"


def test_a_command_that_fails_fails(tmp_path: Path) -> None:
    house = House.furnished(tmp_path, "http://127.0.0.1:1", tmp_path / "none")
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\nclaracore status\n```\n\n```console\n$ exit 7\nwhat is printed\n```\n")
    for fence, code in zip(fences(page), (3, 7), strict=True):
        with pytest.raises(AssertionError, match=f"exit code {code}"):
            house.follow(
                Fence(MODEL, *(getattr(fence, name) for name in ("line", "language", "name", "text", "before")))
            )
