"""What has to be done for a model's container beside its command: before it starts, when it is ready, when it ended?

Before: which runtime is there, what an earlier start may have left, an image that has to be fetched. When it is ready:
the runtime itself says whose port it is. Afterwards: it is removed, also when the client has left it behind.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claracore.core.config.container_command import container_name, with_container
from claracore.core.config.model import ModelConfig
from claracore.core.loading.failure_kinds import FailureKind
from claracore.errors import Explained, ModelFailed
from claracore.host.engines.container_runtimes import NoRuntime, find_runtime, has_image, publishes, remove
from claracore.host.logs.output import OutputRing
from claracore.host.supervisor.child import Child
from claracore.host.supervisor.health import LAST_LINES
from claracore.host.supervisor.kin import MARK
from claracore.host.supervisor.start_failures import BindFailed
from claracore.host.supervisor.stop_order import StopOrder
from claracore.host.supervisor.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claracore.core.config.container_command import ContainerRuntime

logger = logging.getLogger("claracore.supervisor")

PULL_GRACE_SECONDS: Final = 5.0


async def prepared(model: ModelConfig, around: Surroundings, output: OutputRing, stop: StopOrder) -> ModelConfig | None:
    """Return the model with the commands for the runtime that is there; None when the end was ordered meanwhile.

    A model without a container is returned as it is. Raises ModelFailed, which says what is missing.
    """
    runtime = await with_image(model, around, output, stop)
    if runtime is None:
        return model
    await removed(model, (runtime.command,), around)
    return None if stop.given else with_container(model, replace(runtime, instance=around.keeper.ledger.instance))


async def with_image(
    model: ModelConfig, around: Surroundings, output: OutputRing, stop: StopOrder
) -> ContainerRuntime | None:
    """Return the runtime that is there, which has the model's image now or `stop` was given; None without a container.

    Raises ModelFailed, which says what is missing.
    """
    if model.container is None:
        return None
    environ = around.environ
    try:
        runtime = await asyncio.to_thread(find_runtime, model.container.runtime, environ)
    except NoRuntime as error:
        raise ModelFailed(model.id, error.reason, error.lines[-LAST_LINES:], error.explained) from error
    around.keeper.ledger.note_runtime(runtime.command)
    if not await asyncio.to_thread(has_image, runtime.command, model.container.image, environ):
        await _fetch(model, runtime, around, output, stop)
    return runtime


async def _fetch(
    model: ModelConfig, runtime: ContainerRuntime, around: Surroundings, output: OutputRing, stop: StopOrder
) -> None:
    """Fetch the image, however long that takes; what the runtime says of it is in the model's log."""
    image = model.container.image if model.container is not None else ""
    logger.info("model %s: its image %s is not here and is fetched", model.id, image)
    output.append(f"fetching the image {image} with {runtime.kind}")
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        output.append(line)

    env = {**around.environ, MARK: around.keeper.ledger.mark()}
    child = await Child.spawn([runtime.command, "pull", image], env=env, on_line=hear)
    try:
        await stop.or_done(child.exited)
    finally:
        ended = await child.stop(PULL_GRACE_SECONDS)
    if stop.given or ended.code == 0:
        return
    from claracore.core.loading.explain import explain  # noqa: PLC0415 - compiles a table of expressions

    unknown = Explained(
        FailureKind.OTHER, f"its image {image} could not be fetched", lines[-1] if lines else "",
        f"See what `{runtime.kind} pull {image}` says",
    )  # fmt: skip
    reason = f"{runtime.kind} pull ended with {ended}"
    raise ModelFailed(model.id, reason, lines[-LAST_LINES:], explain(lines) or unknown)


async def check_publisher(model: ModelConfig, argv: Sequence[str], port: int, around: Surroundings) -> None:
    """See that the port is published by the model's container, by the runtime's own word. Raises BindFailed.

    What listens for one container of a runtime looks like what listens for any other.
    """
    if model.container is None:
        return
    name = container_name(model.id, around.keeper.ledger.instance)
    if not await asyncio.to_thread(publishes, argv[0], name, port, around.environ):
        raise BindFailed(f"port {port} is answered, but not by the container {name}")


async def removed(model: ModelConfig, argv: Sequence[str], around: Surroundings) -> None:
    """End and remove the model's container if there still is one; what cannot be removed is told in the log."""
    if model.container is None:
        return
    name = container_name(model.id, around.keeper.ledger.instance)
    answer = await asyncio.to_thread(remove, argv[0], name, around.environ)
    if not answer.well:
        reason = answer.lines[-1] if answer.lines else f"exit code {answer.code}"
        logger.warning("model %s: its container %s could not be removed: %s", model.id, name, reason)
