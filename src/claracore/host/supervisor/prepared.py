"""Does a configuration pass every check, also with the part that a head has given to this machine?

The own files must be right. The part stands beside them; one that cannot be used is left out as a whole, and why is
kept for whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from claracore.core.cluster.beside import PART_FILE, TakenPart, beside, kept_names, model_revisions
from claracore.core.cluster.joined import JoinedNode, with_joined
from claracore.core.cluster.part import NO_PART
from claracore.core.cluster.ray_ports import RayRole
from claracore.core.cluster.shared import SharedOut, shared_out
from claracore.core.config.load import LoadedConfig, load_many
from claracore.core.config.model import Config
from claracore.core.config.not_here import without_joined
from claracore.core.config.own_names import hidden_findings, hidden_models
from claracore.core.config.peers import with_found, with_peers
from claracore.core.config.planned_ports import with_planned_ports
from claracore.core.ports.listen import Listen
from claracore.core.ports.ranges import PortPlan
from claracore.errors import ConfigError
from claracore.host.sockets.host import plan_here
from claracore.types import Finding

FoundModels = Mapping[str, tuple[str, ...]]
"""The models of each peer that is followed, by its name."""
MOST_REASONS = 3
LONGEST_REASON = 290


@dataclass(frozen=True, slots=True)
class PartInForce:
    """What of the head's part is in force here."""

    revision: str = NO_PART
    models: Mapping[str, str] = field(default_factory=dict)
    """The revision of each model that comes from the head, by its name."""
    kept: tuple[str, ...] = ()
    """Names of models of the part that the own files have: theirs are in force."""
    set_aside: str = NO_PART
    """The revision of a part that was in force and cannot be used with the own files as they are now."""
    why: str = ""
    """Why it was set aside."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that has passed every check, with the plan of its ports."""

    config: Config
    plan: PortPlan
    findings: tuple[Finding, ...]
    own: Config
    """Without the models of peers."""
    of_files: tuple[Finding, ...] = ()
    """What there is to say of the files, whichever machines have joined."""
    ray: RayRole = RayRole.NONE
    """As whose Ray is to run here, by which the ports were planned."""
    shared: tuple[SharedOut, ...] = ()
    """The models that machines which have joined are to have, too."""
    taken: TakenPart = field(default_factory=TakenPart)
    """What a head has given to this machine."""
    part: PartInForce = field(default_factory=PartInForce)
    """What of it is in force."""

    def with_machines(self, joined: Sequence[JoinedNode], found: FoundModels) -> Prepared:
        """Return it with the machines that have joined, and with what those that are followed have."""
        own = with_joined(self.own, joined)
        hidden = hidden_findings(hidden_models(own, found))
        findings = (*without_joined(self.of_files, [node.name for node in joined]), *hidden)
        return replace(self, config=with_peers(with_found(own, found)), findings=findings)


@dataclass(frozen=True, slots=True)
class ReadingContext:
    """With what a configuration is read and checked."""

    environ: Mapping[str, str]
    listen: Listen
    history: Mapping[str, int] = field(default_factory=dict)
    """The ports that models had before."""
    strict: bool = False
    ollama: bool = False
    ray: RayRole = RayRole.NONE


def prepare(
    loaded: LoadedConfig,
    listen: Listen,
    history: Mapping[str, int],
    *,
    ollama: bool = False,
    ray: RayRole = RayRole.NONE,
) -> Prepared:
    """Check a loaded configuration together with its ports. Raises ConfigError with every finding that is an error.

    A model whose fixed port clashes is no reason to serve none: only its own requests are refused.
    """
    if loaded.config is None:
        raise ConfigError([finding for finding in loaded.findings if finding.severity == "error"])
    plan = plan_here(loaded.config, listen, places=loaded.places, history=history, ollama=ollama, ray=ray)
    findings = (*loaded.findings, *plan.findings)
    tolerated = [*plan.unusable.values()]
    errors = [finding for finding in findings if finding.severity == "error" and finding not in tolerated]
    if errors:
        raise ConfigError(errors)
    own = with_planned_ports(loaded.config, plan.assignment)
    return Prepared(with_peers(own), plan, findings, own, findings, ray, shared_out(loaded.written, loaded.config))


def prepare_texts(texts: Sequence[tuple[str, str]], taken: TakenPart, around: ReadingContext) -> Prepared:
    """Check texts (file, text) together with a part, which is set aside where it cannot be used.

    Raises ConfigError for what is wrong with the texts.
    """
    loaded = load_many(texts, env=around.environ, strict=around.strict)
    own = prepare(loaded, around.listen, around.history, ollama=around.ollama, ray=around.ray)
    if not taken.part.models:
        return own
    try:
        return _with_part(own, texts, taken, around)
    except ConfigError as error:
        return replace(own, taken=taken, part=PartInForce(set_aside=taken.part.revision, why=words(error)))


def prepare_with_part(texts: Sequence[tuple[str, str]], taken: TakenPart, around: ReadingContext) -> Prepared:
    """Check texts (file, text) together with a part. Raises ConfigError for what is wrong with either."""
    loaded = load_many(texts, env=around.environ, strict=around.strict)
    own = prepare(loaded, around.listen, around.history, ollama=around.ollama, ray=around.ray)
    return _with_part(own, texts, taken, around)


def _with_part(own: Prepared, texts: Sequence[tuple[str, str]], taken: TakenPart, around: ReadingContext) -> Prepared:
    if missing := taken.without_path:
        raise ConfigError([Finding("error", f"there is no place for the file {missing[0]!r} here")])
    part = taken.part
    both = load_many(
        texts, env=around.environ, strict=around.strict, parsed_beside=[beside(own.own, taken)] if part.models else ()
    )
    prepared = prepare(both, around.listen, around.history, ollama=around.ollama, ray=around.ray)
    in_force = PartInForce(part.revision, model_revisions(own.own, part), kept_names(own.own, part))
    # What there is to say of the part the head says of its file. Here it would put values of it into the log.
    findings = tuple(each for each in prepared.findings if each.place is None or each.place.file != PART_FILE)
    prepared = replace(prepared, findings=findings, of_files=findings)
    return replace(prepared, shared=own.shared, taken=taken, part=in_force)


def words(error: ConfigError) -> str:
    """Say in one line why a part cannot be used."""
    found = [_words(finding) for finding in error.findings[:MOST_REASONS]]
    more = len(error.findings) - len(found)
    return ("; ".join(found) + (f"; and {more} more" if more else ""))[:LONGEST_REASON]


def _words(finding: Finding) -> str:
    """Say what is wrong without the value that was found, which may be a secret of this machine."""
    message = f"a wrong value, {finding.way_out}" if finding.message.startswith("found ") else finding.message
    return f"{finding.path}: {message}".removeprefix(": ")
