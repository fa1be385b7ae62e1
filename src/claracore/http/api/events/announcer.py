"""Which events are there, and what is in each?

One method an event: its type, its data as `GET /api/stream` sends it, and the key by which a newer one takes the
place of an older one of the same tick. Events of models and requests in flight are made by the sampler, which
remembers what was sent last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claracore.host.activity.rows import ActivityRow
from claracore.host.activity.swaps import Swap
from claracore.host.hardware.samples import Sample
from claracore.host.logs.proxy import LogEntry
from claracore.host.supervisor.configuration import Configuration
from claracore.http.api.events.broadcaster import Broadcaster

if TYPE_CHECKING:
    from claracore.core.engines.job import EngineJob
    from claracore.host.library.download import Download

PROXY = "proxy"
"""The source of ClaraCore's own log; any other source is the id of a model."""


class Announcer:
    """Makes events of what happens."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        self._publish = broadcaster.publish

    def row(self, row: ActivityRow) -> None:
        """Send `activity`: a request is over."""
        self._publish("activity", row)

    def swap(self, swap: Swap) -> None:
        """Send `swap`: a load is over, or more is known about it."""
        self._publish("swap", swap, key=(swap.model, swap.at))

    def sample(self, sample: Sample) -> None:
        """Send `performance`: a new sample of the machine."""
        self._publish("performance", sample)

    def log(self, source: str, entry: LogEntry) -> None:
        """Send `log`: a line of a log; its topic is `log:SOURCE`."""
        data = {"source": source, "at": entry.at, "level": entry.level, "text": entry.text}
        self._publish("log", data, topic=f"log:{source}")

    def proxy_log(self, entry: LogEntry) -> None:
        """Send `log`: a line of ClaraCore's own log."""
        self.log(PROXY, entry)

    def models(self) -> None:
        """Send `models`: the list of models is another one."""
        self._publish("models", {}, key="")

    def node(self, name: str) -> None:
        """Send `node`: what `GET /api/nodes` says of one has changed."""
        self._publish("node", {"name": name}, key=name)

    def ports(self) -> None:
        """Send `ports`: what `GET /api/ports` says has changed."""
        self._publish("ports", {}, key="")

    def profile(self, active: str | None) -> None:
        """Send `profile`: another profile is active, or none."""
        self._publish("profile", {"active": active}, key="")

    def setup_progress(self, done: int, total: int, file: str) -> None:
        """Send `setup`: so many of the model files have been read; `file` is the name of the last one."""
        self._publish("setup", {"done": done, "total": total, "file": file}, key="progress")

    def configuration(self, now: Configuration) -> None:
        """Send `config`: the files were read again, and taken over or rejected."""
        from claracore.http.api.findings import finding_views  # noqa: PLC0415 - views need pydantic, see late.py

        data = {
            "hash": now.digest,
            "findings": [view.model_dump() for view in finding_views(now.now.findings)],
            "rejected": [view.model_dump() for view in finding_views(now.rejected)],
        }
        self._publish("config", data, key="")

    def download(self, download: Download, *, removed: bool = False) -> None:
        """Send `download`: a download is further, in another state, or (`removed`) not on the list any more."""
        from claracore.host.library.views import download_view, gone_view  # noqa: PLC0415 - as above

        view = gone_view(download) if removed else download_view(download)
        self._publish("download", view.model_dump(mode="json"), key=view.id)

    def engine_job(self, job: EngineJob) -> None:
        """Send `engine`: an engine that is being installed is further, or in another state."""
        from claracore.host.engines.views import job_view  # noqa: PLC0415 - as above

        self._publish("engine", job_view(job).model_dump(mode="json"), key=job.id)

    def engines(self) -> None:
        """Send `engines`: what `GET /api/engines` says has changed."""
        self._publish("engines", {}, key="")
