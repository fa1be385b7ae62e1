"""Which models may run together, and which model answers a name that stands for several?

Groups, the matrix and memory; profiles, selectors and peers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator

from claracore.core.config.fields import Bytes, Names, Seconds, Section, option

AUTO = "auto"
ALL = "all"


def _models_of_a_peer(value: object, read: ValidatorFunctionWrapHandler) -> object:
    return AUTO if value == AUTO else read(value)


def _names_of_nodes(value: object, read: ValidatorFunctionWrapHandler) -> object:
    return ALL if value == ALL else read(value)


if TYPE_CHECKING:
    PeerModels = tuple[str, ...] | Literal["auto"]
    NodeNames = tuple[str, ...] | Literal["all"]
else:  # no union, whose errors would name a list and `auto` as if both were wanted

    def _schema(word: str) -> WithJsonSchema:
        return WithJsonSchema({"anyOf": [{"const": word}, {"type": "array", "items": {"type": "string"}}]})

    PeerModels = Annotated[tuple[str, ...], WrapValidator(_models_of_a_peer), _schema(AUTO)]
    NodeNames = Annotated[tuple[str, ...], WrapValidator(_names_of_nodes), _schema(ALL)]


Fetch = Annotated[
    Literal["hub", "head", "no"],
    BeforeValidator(lambda value: "no" if value is False else value),
    WithJsonSchema({"enum": ["hub", "head", "no", False]}),
]
"""A bare `no` is false to YAML 1.1, by whose rules editors write."""


class GroupConfig(Section):
    """Models that share rules of running together, and a range of ports if the group has one."""

    name: str = option("", "The key under `groups`.", internal=True)
    swap: bool = option(True, "Only one member runs at a time.")
    exclusive: bool = option(True, "Loading a member stops the models of other groups.")
    persistent: bool = option(False, "Other groups never stop the members.")
    members: tuple[str, ...] = option((), "Ids of the models in the group.")
    start_port: int | None = option(
        None, "First port of the group's own range.", key="startPort", default_text="the common range", ge=1, le=65535
    )
    end_port: int | None = option(
        None,
        "Last port of the range, a hard limit.",
        key="endPort",
        default_text="where the next range begins",
        ge=1,
        le=65535,
    )


class MatrixConfig(Section):
    """Sets of models that may run together, as expressions such as `a & (b | c)`."""

    variables: dict[str, str] = option(dict, "Short names for model ids.", key="vars")
    evict_costs: dict[str, int] = option(dict, "What it costs to stop a model (default 1), by id or short name.")
    sets: dict[str, str] = option(dict, "Expressions: & together, | either, parentheses, +name includes another set.")


class MemoryRouting(Section):
    """How much memory models may use together, by device: `ram`, `gpu` (every one), `gpu0`, `gpu1`, ..., `unified`."""

    reserve: dict[str, Bytes] = option(
        dict,
        "Kept free on a device, beside what other programs use: `{ram: 2GiB, gpu: 500MiB}`.",
        default_text="2GiB of RAM, 500MiB of each GPU",
    )
    budget: dict[str, Bytes] = option(
        dict,
        "The most that models may use of a device together: `{ram: 16GiB, gpu0: 20GiB}`.",
        default_text="all of it",
    )


class RouterSettings(Section):
    """The rules of the router in use; the others' may be present too."""

    groups: dict[str, GroupConfig] = option(dict, "As `groups` at the top.")
    matrix: MatrixConfig | None = option(None, "As `matrix` at the top.")
    memory: MemoryRouting = option(MemoryRouting, "How much memory models may use together.")


class Router(Section):
    """Which rules decide what may run together."""

    use: Literal["group", "matrix", "memory"] = option(
        "group",
        "Which settings apply. memory: everything stays loaded that fits; what is needed least goes when another needs "
        "its memory. Groups then give ports, and `persistent`.",
    )
    settings: RouterSettings = option(RouterSettings, "The rules.")

    @property
    def is_chosen(self) -> bool:
        """Whether the file says here what decides; an empty `router:` leaves it to `groups` and `matrix` at the top."""
        return "use" in self.model_fields_set or bool(self.settings.groups) or self.settings.matrix is not None


class Fifo(Section):
    """First come, first served."""

    priority: dict[str, int] = option(
        dict, "Models whose requests go first: the higher, the earlier; 0 when not named."
    )


class SchedulerSettings(Section):
    """Settings of the scheduler in use."""

    fifo: Fifo = option(Fifo, "First come, first served.")


class SchedulerConfig(Section):
    """In which order waiting requests are served."""

    use: Literal["fifo"] = option("fifo", "The only scheduler there is.")
    settings: SchedulerSettings = option(SchedulerSettings, "Its settings.")


class Routing(Section):
    """How requests are ordered and models chosen."""

    router: Router = option(Router, "Which rules decide what may run together.")
    scheduler: SchedulerConfig = option(SchedulerConfig, "In which order waiting requests are served.")


class Profile(Section):
    """While active, each pinned name is answered by its target."""

    description: str = option("", "Description to show to people.")
    pins: dict[str, str | None] = option(
        dict, "Name -> model, alias, peer model or selector; empty makes the name unknown."
    )


class SelectorSettings(Section):
    """Settings of a selector's strategy."""

    spillover: int = option(1, "Requests that a target serves before the next one is used.", ge=1)


class Selector(Section):
    """A name that chooses among several models."""

    strategy: Literal["pin", "warm", "spillover"] = option(
        "pin", "pin: the first target; warm: the first that is loaded; spillover: the least busy."
    )
    targets: tuple[str, ...] = option((), "Models among which to choose.")
    settings: SelectorSettings = option(SelectorSettings, "Settings of the strategy.")
    name: str = option("", "Name to show to people.")
    description: str = option("", "Description to show to people.")
    unlisted: bool = option(False, "Hide it from /v1/models.")
    metadata: dict[str, Any] = option(dict, "Anything; shown in /v1/models.")


class PeerFilters(Section):
    """What is changed in a request body on its way to a peer."""

    strip_params: Names = option((), "Body keys to remove.", key="stripParams")
    set_params: dict[str, Any] = option(dict, "Body keys to set or override.", key="setParams")
    set_params_by_id: dict[str, dict[str, Any]] = option(dict, "The same by requested id.", key="setParamsByID")


class PeerTimeouts(Section):
    """How long the connection to a peer may take; 0 means no limit."""

    connect_seconds: Seconds = option(30.0, "Opening the connection.", key="connect")
    keepalive_seconds: Seconds = option(30.0, "Interval of TCP keep-alive probes.", key="keepalive", later=True)
    response_header_seconds: Seconds = option(60.0, "Waiting for the response head.", key="responseHeader")
    tls_handshake_seconds: Seconds = option(10.0, "TLS handshake, for https.", key="tlsHandshake", later=True)
    expect_continue_seconds: Seconds = option(1.0, "Waiting for `100 Continue`.", key="expectContinue", later=True)
    idle_conn_seconds: Seconds = option(90.0, "An idle connection is kept this long.", key="idleConn", later=True)


class Sharing(Section):
    """Which machines that have joined are to have a model, too (docs/machines.md)."""

    nodes: NodeNames = option(
        (), "Machines that have joined: `all`, or a list of names. Each gets the model from here."
    )
    fetch: Fetch = option(
        "no",
        "From where a machine gets the model's files that it does not have: `hub`, `head` (this machine), or `no`: the "
        "same paths are there.",
    )


class ModelPlacement(Sharing):
    """Which machines that have joined are to have the model; what is not given here is as in the global `placement`."""


class PlacementConfig(Sharing):
    """Which machine answers a name that several have, and which ones are to have the models of this file."""

    prefer: tuple[str, ...] = option(
        (), "Among equally good places these come first, in this order: names of peers, and `local` for this machine."
    )
    avoid: tuple[str, ...] = option((), "Only when there is no other place; names as in `prefer`.")
    spread: bool = option(
        True, "Among equally good places the least busy one comes first; false: the first one is filled first."
    )


class WakeConfig(Section):
    """How a machine that sleeps is woken (Wake-on-LAN)."""

    mac: str = option("", "Hardware address of its network card, e.g. `aa:bb:cc:dd:ee:ff`; required.")
    wait_seconds: Seconds = option(60.0, "How long a request waits for it to answer.", key="wait")
    broadcast: str = option("255.255.255.255", "IPv4 address to which the magic packet is sent (port 9).")


class PeerConfig(Section):
    """Another server whose models are offered here, each as peer/model."""

    proxy: str = option("", "Base URL of the server; required.")
    models: PeerModels = option(
        (),
        "Its models; at least one. `auto`: whatever it has, followed while ClaraCore runs (docs/machines.md).",
    )
    found: tuple[str, ...] = option((), "What `auto` has found.", internal=True)
    joined: bool = option(False, "Whether it has come by an invitation.", internal=True)
    api_key: str | None = option(None, "Key to present to the server.", key="apiKey", secret=True)
    fingerprint: str = option(
        "",
        "SHA-256 of its certificate, as `openssl x509 -fingerprint -sha256` prints it: this certificate is trusted and "
        "no other, whoever has signed it.",
        default_text="an authority must have signed it",
    )
    filters: PeerFilters = option(PeerFilters, "What is changed in a request body.")
    timeouts: PeerTimeouts = option(PeerTimeouts, "Timeouts of the connection.")
    wake: WakeConfig | None = option(
        None, "How the machine is woken when a request needs it; for `models: auto`.", default_text="it is not"
    )

    @property
    def follows(self) -> bool:
        """Whether its models are what the server itself says."""
        return self.models == "auto"

    @property
    def names(self) -> tuple[str, ...]:
        """Its models as far as they are known: as configured, or as found."""
        return self.models if self.models != "auto" else self.found
