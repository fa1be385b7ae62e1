"""Can the containers of a configuration be run on this machine?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from claracore.core.config.model import Config
from claracore.host.engines.container_runtimes import NoRuntime, find_runtime, has_image, version_of
from claracore.host.setup.check import Check


def container_checks(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    """Say for each runtime that models ask for whether it answers, and which images will be fetched; blocking."""
    containers = [model.container for model in config.models.values() if model.container is not None]
    for wanted in dict.fromkeys(container.runtime for container in containers):
        try:
            runtime = find_runtime(wanted, environ)
        except NoRuntime as error:
            known = error.explained
            yield Check("containers", ok=False, message=f"{error.reason}: {known.cause}", way_out=known.way_out)
            continue
        version = version_of(runtime, environ)
        yield Check("containers", ok=True, message=f"{runtime.kind} {version} runs models ({runtime.command})")
        for image in dict.fromkeys(each.image for each in containers if each.runtime == wanted):
            if not has_image(runtime.command, image, environ):
                message = f"the image {image} is not here: the first start of its model fetches it"
                yield Check("containers", ok=True, message=message)
