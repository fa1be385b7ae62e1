"""Which options are about ClaraCore itself: what it keeps, shows and samples, and what it does when it starts?"""

from __future__ import annotations

from claracore.core.config.fields import HeaderNames, SecondsOrInherit, Section, option

DEFAULT_IGNORED_PATHS = r".*\.(js|json|css|png|gif|jpg|jpeg|ico|txt)$"


class Store(Section):
    """Where activity is kept."""

    path: str | None = option(
        None, "SQLite file for activity; unset keeps it in a file of this configuration in the user's state folder."
    )


class UiActivity(Section):
    """The activity page of the web interface."""

    session_id: HeaderNames = option(
        ("X-Session-ID", "X-Litellm-Session-Id"), "Request headers that name a session; an empty list hides the column."
    )


class Ui(Section):
    """The web interface."""

    activity: UiActivity = option(UiActivity, "The activity page.")


class PerformanceConfig(Section):
    """Sampling of CPU, memory and GPUs."""

    disabled: bool = option(False, "Switch sampling off.")
    every_seconds: SecondsOrInherit = option(5.0, "Time between samples, at least 5s.", key="every", ge=5)


class UpstreamConfig(Section):
    """Direct access to a model server under /upstream/{model}/."""

    ignore_paths: tuple[str, ...] = option(
        (DEFAULT_IGNORED_PATHS,), "Regular expressions (RE2) of paths that do not start a model.", key="ignorePaths"
    )


class OllamaEntrance(Section):
    """A second address, for clients of Ollama: everything is served there too."""

    listen: str = option(
        "",
        "Where they look for it: 127.0.0.1:11434. Written as --listen; takes effect without a new start.",
        default_text="none; with --ollama 127.0.0.1:11434",
    )


class ClusterConfig(Section):
    """Machines that join this one (docs/machines.md), and Ray among them, where it is installed."""

    ray: bool = option(True, "Have Ray tell, too, which machines are there; it must be installed (`claracore[ray]`).")
    tls: bool = option(
        False,
        "On the head: encrypt what Ray's processes say to each other. Ray calls this experimental; switch it before "
        "machines join.",
    )
    gcs_port: int = option(6379, "Port of Ray's list of nodes, on the head.", key="gcsPort", ge=1, le=65535)
    node_ports: int = option(6380, "The first of four ports of Ray on each machine.", key="nodePorts", ge=1, le=65532)
    worker_ports: int = option(
        6400, "The first of fifty ports of Ray's processes on each machine.", key="workerPorts", ge=1, le=65486
    )


class OnStartup(Section):
    """What happens when ClaraCore starts."""

    preload: tuple[str, ...] = option((), "Models (ids or aliases) to load one after another.")


class Hooks(Section):
    """What happens at certain moments."""

    on_startup: OnStartup = option(OnStartup, "What happens when ClaraCore starts.")
