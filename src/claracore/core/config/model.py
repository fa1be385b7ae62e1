"""Which options are there, of which type, with which default, and what do they mean?

Each option is declared once, here or in routing.py; the JSON schema, the reference page and the defaults that
`claracore config show` prints come from these declarations. A loaded `Config` is *effective*: macros are expanded,
aliases collected, ttl and timeouts of models resolved, every model in exactly one group. Reading text is load.py's
business.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import PrivateAttr

from claracore.core.config.container import ContainerConfig
from claracore.core.config.conversations import Conversations
from claracore.core.config.entrance import Entrance
from claracore.core.config.fields import (
    Bytes,
    Names,
    Seconds,
    SecondsOrInherit,
    Section,
    option,
)
from claracore.core.config.patterns import ANY, is_pattern
from claracore.core.config.program import (
    ClusterConfig,
    Hooks,
    OllamaEntrance,
    PerformanceConfig,
    Store,
    Ui,
    UpstreamConfig,
)
from claracore.core.config.routing import (
    GroupConfig,
    MatrixConfig,
    ModelPlacement,
    PeerConfig,
    PlacementConfig,
    Profile,
    Routing,
    Selector,
)
from claracore.core.config.serving import Capabilities, Compat, Queue
from claracore.core.config.sleep import SleepConfig
from claracore.core.config.timeouts import Timeouts

DEFAULT_GROUP = "(default)"
PEERS_GROUP = "(peers)"
"""Where models of peers are: they take nothing of this machine, so nobody has to go for them."""
DEFAULT_PROXY = "http://localhost:${PORT}"
DEFAULT_START_PORT = 8100
TIME_FORMATS = (
    *("ANSIC", "UnixDate", "RubyDate", "RFC822", "RFC822Z", "RFC850", "RFC1123", "RFC1123Z", "RFC3339", "RFC3339Nano"),
    *("Kitchen", "Stamp", "StampMilli", "StampMicro", "StampNano"),
)
"""Names of Go's time package."""
REJECT, DEFAULT = "reject", "default"
"""What `unknown_model` may say besides a peer."""


class Filters(Section):
    """What is changed in a request body on its way to the model."""

    strip_params: Names = option(
        (), "Body keys to remove, as a list or a comma-separated text; `model` is never removed.", key="stripParams"
    )
    set_params: dict[str, Any] = option(dict, "Body keys to set or override; `model` is ignored.", key="setParams")
    set_params_by_id: dict[str, dict[str, Any]] = option(
        dict,
        "Body keys to set when the model was requested under this id, after setParams. Each id becomes an alias.",
        key="setParamsByID",
    )


class ModelConfig(Section):
    """One model: the command that serves it and how requests reach it."""

    id: str = option("", "The key under `models`.", internal=True)
    cmd: str = option(
        "", "Command line, split as a shell would but run without one. Lines that start with # are dropped."
    )
    cmd_stop: str = option("", "Command to run instead of SIGTERM; may use ${PID}.", key="cmdStop")
    nodes: int = option(
        1,
        "Experimental: machines that run the model together, this one included. `cmd` is rank 0, here; `rankCmd` runs "
        "on the others, which must have joined this one or be peers with `models: auto` (docs/machines.md).",
        ge=1,
        le=64,
    )
    rank_cmd: str = option(
        "",
        "Command of the ranks 1, 2, ... on the other machines of `nodes`. In it, in cmd and in env: ${NODES}, ${RANK}, "
        "${MASTER_ADDR}, ${MASTER_PORT}, ${NODE_ADDR}; in cmd ${RANKS}: `address:port` of the others, with commas.",
        key="rankCmd",
    )
    container: ContainerConfig | None = option(
        None, "Container in which the server runs, in place of `cmd`: stopped and removed with it, whatever happens."
    )
    proxy: str = option(DEFAULT_PROXY, "Base URL of the model server; needed when cmd has no ${PORT}.")
    check_endpoint: str = option(
        "/health",
        "Path that answers 200 once the model is ready (of a URL, its path); `none` means ready when started.",
        key="checkEndpoint",
    )
    ttl_seconds: SecondsOrInherit = option(
        0.0,
        "Unload after this long without use; 0 means never, -1 takes globalTTL.",
        key="ttl",
        default_text="globalTTL",
        ge=-1,
    )
    unload_timeout_seconds: Seconds = option(
        10.0,
        "Grace between SIGTERM and SIGKILL; 0 takes the global unloadTimeout.",
        key="unloadTimeout",
        default_text="the global unloadTimeout",
    )
    health_check_timeout_seconds: Seconds = option(
        120.0,
        "How long the model may take to become ready; from the last progress of loading that its server reports.",
        key="healthCheckTimeout",
        default_text="the global healthCheckTimeout",
    )
    concurrency_limit: int = option(
        0, "Requests that the model serves at once; the rest waits. 0 means no limit.", key="concurrencyLimit", ge=0
    )
    aliases: tuple[str, ...] = option(
        (),
        "Other names of the model; each may be used once in the whole file. A `*` in one stands for any "
        "characters: it is for names that nothing else has (`claude-*`), the most specific first, and is not listed.",
    )
    env: tuple[str, ...] = option((), "Environment variables for cmd, as NAME=value.")
    name: str = option("", "Name to show to people.")
    description: str = option("", "Description to show to people.")
    unlisted: bool = option(False, "Hide the model from /v1/models; it can still be called.")
    use_model_name: str | None = option(
        None, "Name that the model server is told instead of the id.", key="useModelName"
    )
    filters: Filters = option(Filters, "What is changed in a request body.")
    macros: dict[str, Any] = option(dict, "Macros of this model; they override the global ones.")
    metadata: dict[str, Any] = option(dict, "Anything; shown in /v1/models.")
    capabilities: Capabilities = option(Capabilities, "What the model can do.")
    send_loading_state: bool = option(
        False,
        "Tell streaming chat clients about loading, in the reasoning text.",
        key="sendLoadingState",
        default_text="the global sendLoadingState",
    )
    timeouts: Timeouts = option(Timeouts, "Timeouts of the connection to the model server.")
    compat: Compat = option(Compat, "Behaviour for clients with special habits.")
    transport: Literal["tcp", "unix"] = option(
        "tcp", "How the model server is reached: a TCP port (${PORT}) or a Unix socket (${SOCKET})."
    )
    owner: Literal["child", "runtime", "any"] = option(
        "child",
        "Whose process may answer on the model's port: child (what descends from cmd; a container runtime, if cmd runs "
        "a container's client), runtime (a container runtime in any case), any (whoever is there, unchecked).",
    )
    memory: dict[str, Bytes] = option(
        dict,
        "Memory that it takes, by device: `{ram: 500MiB, gpu: 8GiB, gpu1: 2GiB}`, or `unified`. Unset, it is what was "
        "measured when it ran with the same command, else what its file and its flags let expect.",
    )
    reload: bool = option(
        False,
        "When it had to go for another model, load it again as soon as that one has gone. May be written `always`.",
    )
    sleep: SleepConfig = option(
        SleepConfig,
        "How its server gives memory back without ending; used instead of a stop where memory decides "
        "(`routing.router.use: memory`) and what it takes asleep has room.",
    )
    queue: Queue = option(Queue, "How many requests may wait for the model, and how long.")
    placement: ModelPlacement = option(
        ModelPlacement,
        "Which joined machines are to have the model, too; what is not given here is as in the global `placement`.",
    )
    conversations: Conversations = option(
        Conversations,
        "What outlives its server; what is not given here is as in the global `conversations`.",
    )

    @property
    def plain_aliases(self) -> tuple[str, ...]:
        """Other names of the model, without patterns."""
        return tuple(alias for alias in self.aliases if not is_pattern(alias))


class Config(Entrance):
    """The whole configuration."""

    models: dict[str, ModelConfig] = option(dict, "The models, by id.")
    groups: dict[str, GroupConfig] = option(
        dict, "Which models may run together; models in no group are in `(default)`."
    )
    macros: dict[str, Any] = option(dict, "Texts, numbers or booleans to be used as ${name} in any value.")
    start_port: int = option(
        DEFAULT_START_PORT, "First port that is given to a model as ${PORT}.", key="startPort", ge=1, le=65535
    )
    health_check_timeout: Seconds = option(
        120.0,
        "How long a model may take to become ready, or to report progress of loading; at least 15s.",
        key="healthCheckTimeout",
    )
    global_ttl: Seconds = option(0.0, "Unload a model after this long without use; 0 means never.", key="globalTTL")
    unload_timeout: Seconds = option(
        10.0, "Grace between SIGTERM and SIGKILL when a model is stopped.", key="unloadTimeout"
    )
    engine: str | None = option(
        None,
        "Path of the llama-server to use, or `embedded`; unset takes the installed build in use "
        "(`claracore engines use`), then PATH, then the embedded one.",
    )
    log_level: Literal["debug", "info", "warn", "error"] = option("info", "How much is logged.", key="logLevel")
    log_time_format: str = option(
        "",
        f"How log lines write the time: {', '.join(TIME_FORMATS)}.",
        key="logTimeFormat",
        default_text="2026-08-31 14:05:09,123",
    )
    log_to_stdout: Literal["proxy", "upstream", "both", "none"] = option(
        "proxy",
        "What the terminal shows: ClaraCore's own log (proxy), the models' output (upstream), both, or none. Warnings "
        "and errors are always shown.",
        key="logToStdout",
    )
    log_requests: bool = option(False, "Has no effect any more.", key="logRequests", deprecated=True)
    metrics_max_in_memory: int = option(
        1000,
        "Has no effect any more: the last 100,000 requests are kept in a file.",
        key="metricsMaxInMemory",
        deprecated=True,
    )
    capture_buffer: int = option(
        0,
        "Megabytes of memory for the bodies of the last requests and answers, for GET /api/captures; 0 keeps none.",
        key="captureBuffer",
        ge=0,
    )
    body_buffer: int = option(
        512,
        "Megabytes of memory for the bodies of requests that cannot be sent on yet, because their model is not known "
        "or loads; over it the answer is 503. One body may have 256.",
        key="bodyBuffer",
        ge=1,
    )
    download_dir: str = option(
        "",
        "Folder for models from the hub, relative to this file; unset takes the first folder of --models-folder, or "
        "else `downloads` beside this file.",
        key="downloadDir",
    )
    default_model: str | None = option(
        None,
        "What answers requests that name no model (llama.vim's name none): a model, alias, peer model or selector.",
        default_text="such requests are refused",
    )
    unknown_model: str = option(
        REJECT,
        "What answers names that nothing here has: `reject` (404), `default` (the default_model), or a peer, which is "
        "asked for them by the same name.",
    )
    conversations: Conversations = option(Conversations, "What of conversations outlives the models' servers.")
    store: Store = option(Store, "Where activity is kept.")
    ui: Ui = option(Ui, "The web interface.")
    ollama: OllamaEntrance = option(OllamaEntrance, "A second address, for clients of Ollama.")
    performance: PerformanceConfig = option(PerformanceConfig, "Sampling of CPU, memory and GPUs.")
    send_loading_state: bool = option(
        False, "Tell streaming chat clients about loading, in the reasoning text.", key="sendLoadingState"
    )
    include_aliases_in_list: bool = option(False, "List aliases in /v1/models.", key="includeAliasesInList")
    api_keys: tuple[str, ...] = option(
        (), "Keys that clients must present; empty means open.", key="apiKeys", secret=True
    )
    upstream: UpstreamConfig = option(UpstreamConfig, "Direct access to a model server.")
    hooks: Hooks = option(Hooks, "What happens at certain moments.")
    matrix: MatrixConfig | None = option(None, "Which models may run together, as sets.")
    routing: Routing = option(
        Routing, "How requests are ordered and models chosen; `groups` and `matrix` may stand here too."
    )
    profiles: dict[str, Profile] = option(dict, "Named sets of pins from a name to a model; an API call activates one.")
    selectors: dict[str, Selector] = option(dict, "Names that choose among several models.")
    peers: dict[str, PeerConfig] = option(dict, "Other servers whose models are offered here.")
    cluster: ClusterConfig | None = option(
        None,
        "Machines that join this one, or that this one has joined. With it, no model is given one of Ray's ports.",
    )
    placement: PlacementConfig = option(PlacementConfig, "Which machine answers a name that several have.")

    _names: dict[str, str] = PrivateAttr(default_factory=dict)
    _groups: dict[str, str] = PrivateAttr(default_factory=dict)
    _of_peers: dict[str, str] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: object) -> None:
        """Index names and groups, so that `resolve` and `group_of` are look-ups."""
        aliases = {alias: model.id for model in self.models.values() for alias in model.aliases}
        self._names = {**aliases, **{name: name for name in self.models}}
        self._groups = {member: group.name for group in self.groups.values() for member in group.members}
        self._of_peers = {f"{id_}/{model}": id_ for id_, peer in self.peers.items() for model in (*peer.names, ANY)}

    @property
    def preload(self) -> tuple[str, ...]:
        """Ids of the models to load at start, in order."""
        return self.hooks.on_startup.preload

    @property
    def priorities(self) -> dict[str, int]:
        """Place in the queue by model id: higher goes first; 0 when not named."""
        return self.routing.scheduler.settings.fifo.priority

    def resolve(self, name: str) -> str | None:
        """Return the id of the model that is called `name`, an id or an alias; None if there is none."""
        return self._names.get(name)

    def group_of(self, model_id: str) -> str:
        """Return the name of the group in which the model is."""
        return self._groups.get(model_id, PEERS_GROUP if model_id in self._of_peers else DEFAULT_GROUP)

    def is_followed(self, name: str) -> bool:
        """Whether a name is a model, as far as can be known, of a peer whose models are found while ClaraCore runs.

        A name of this machine's own is none, whatever it begins with.
        """
        if name in self._names and self._names[name] not in self._of_peers:
            return False
        peer_id, slash, model = name.partition("/")
        peer = self.peers.get(peer_id)
        return bool(slash and model) and peer is not None and peer.follows

    def peer_of(self, model_id: str) -> str | None:
        """Return the id of the peer that serves a model, None for our own; `with_peers` puts such among `models`."""
        return self._of_peers.get(model_id)
