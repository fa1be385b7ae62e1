"""What hears a request that waits for a model which is taken out of the configuration?"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from claracore.errors import ModelNotFound
from supervisor.test_loop import Request, config_of, fake, run, served, supervising


@run
async def test_who_waits_for_its_start_is_refused_while_another_model_runs(tmp_path: Path) -> None:
    config = config_of({"a": fake(), "b": fake()})
    without = config.model_copy(update={"models": {"a": config.models["a"]}})
    without.model_post_init(None)
    async with supervising(config, tmp_path) as supervisor:
        number, _ = await served(supervisor, "a")
        waiting = [Request(), Request()]
        for request in waiting:
            supervisor.arrive("b", request)
        supervisor.reconfigure(without, frozenset({"b"}))
        for request in waiting:
            await request.told.wait()
        assert [type(request.error) for request in waiting] == [ModelNotFound] * 2
        supervisor.finish(number)


def test_words_that_cannot_be_found_are_no_reason_to_leave_anybody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in what is said of a refusal must not cost the client its answer."""

    def broken(*_: object) -> None:
        raise KeyError("b")

    monkeypatch.setattr("claracore.host.supervisor.loop.circumstances", broken)

    @run
    async def story(folder: Path) -> None:
        config = config_of({"a": fake("--exit-at-start", "1")})
        without = config.model_copy(update={"models": {}})
        without.model_post_init(None)
        async with supervising(config, folder) as supervisor:
            waiting = Request()
            supervisor.arrive("a", waiting)
            supervisor.reconfigure(without, frozenset({"a"}))
            await waiting.told.wait()
            assert waiting.error is not None
            assert (waiting.error.status, "model removed" in waiting.error.message) == (500, True)

    with caplog.at_level(logging.ERROR):
        story(tmp_path)
    assert "could not be put into words" in caplog.text
