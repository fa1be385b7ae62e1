"""How does a new setup go into a configuration that exists?

Line by line, so that nothing else changes: what still is as it was generated is refreshed, what a person wrote or
deleted stays (refresh.py), new models are added behind the others, a model whose file is gone is marked and hidden.
Models are recognised by their file, so one that was renamed by hand keeps its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from claracore.core.config.lines import Block, KeyPath, LineEdit, indent_of, plain
from claracore.core.config.migrate import migrate
from claracore.core.config.tree import MappingNode, Node, ParsedText, ScalarNode, SequenceNode
from claracore.core.fit.catalog import LARGE, SMALL
from claracore.core.fit.document import (
    Setup,
    group_parts,
    macro_parts,
    members_of,
    model_lines,
    model_parts,
    top_parts,
    write_part,
    write_parts,
)
from claracore.core.fit.kept_choice import with_kept_choice
from claracore.core.fit.marks import MISSING, DocumentPart
from claracore.core.fit.refresh import RecordLine, comments_above, find_record, is_untouched, refresh
from claracore.core.fit.yamltext import scalar
from claracore.core.garbage import no_collection

HIDDEN = "# hidden while its file is missing"
ONE_LINE = "the {} are written on one line ({{...}}): put each on lines of its own first"


@dataclass(frozen=True, slots=True)
class Present:
    """What is known about the models of the old text."""

    paths: Mapping[str, str]
    """Id -> model file, where the command names one."""
    missing: AbstractSet[str]
    """Ids of the models whose file is gone."""


@dataclass(slots=True)
class Merged:
    """The new text, and what happened to whom: ids, or keys such as `qwen.ttl`."""

    parsed: ParsedText
    added: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Values that a person wrote where we would write something else."""
    vanished: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    """Model file -> the id that it has in the new text."""

    @property
    def text(self) -> str:
        """The new text."""
        return self.parsed.text


@no_collection()
def merge(
    source: str | ParsedText, setup: Setup, present: Present, *, today: str, listen_port: int, gently: bool = False
) -> Merged:
    """Merge a setup into a text. Its length costs two readings, however many models there are: of it, of the new one.

    With `gently` nothing that runs is disturbed: when a refresh would change how a model is started (because a new one
    takes memory, say), only new models are added, all to the group that has the machine by turns; the next setup that
    may disturb refreshes the rest.

    Raises config.tree.Unreadable for a text that is not YAML, ValueError for one that cannot be changed line by line.
    """
    parsed = ParsedText.of(source, "config.yaml") if isinstance(source, str) else source
    edit = LineEdit(parsed)
    migrated = migrate(parsed.text, listen_port=listen_port, says=edit.wanted)
    if migrated.changes:
        edit = LineEdit(ParsedText.of(migrated.text, parsed.root.file))
    result = Merged(parsed, notes=list(migrated.changes))
    _Merge(edit, present, result).run(setup, today)
    if gently and any(_disturbs(key) for key in result.refreshed):
        edit.restart()
        result = Merged(parsed, notes=list(migrated.changes))
        _Merge(edit, present, result, only_new=True).run(setup, today)
    result.parsed = edit.result()
    return result


@dataclass(slots=True)
class _Merge:
    """One merge under way."""

    edit: LineEdit
    present: Present
    result: Merged
    only_new: bool = False

    def run(self, setup: Setup, today: str) -> None:
        setup = self.with_known_names(setup)
        record = find_record(self.edit, 0, len(self.edit.lines), 0)
        self.refresh((), top_parts(setup, kept_seconds=self.kept_seconds(setup)), record, "")
        self.macro(setup)
        self.models(setup)
        self.missing(today)
        self.groups(setup)

    def entries(self, key: str) -> Mapping[str, tuple[ScalarNode, Node]]:
        """Return the entries of a mapping at the top; none when it is not there."""
        mapping = self.edit.mapping((key,))
        return mapping.entries if mapping is not None else {}

    def kept_seconds(self, setup: Setup) -> int:
        """Return how long models that this setup does not know of may take to load; 0 when there are none."""
        others = self.entries("models").keys() - {item.candidate.id for item in setup.chosen} - self.present.missing
        seconds = self.edit.wanted.get("healthCheckTimeout")
        return seconds if others and isinstance(seconds, int) else 0

    def refresh(
        self, path: KeyPath, parts: Sequence[DocumentPart], record: RecordLine, prefix: str, *, whole: bool = False
    ) -> None:
        """Refresh one mapping if it has a record."""
        if not self.only_new and record.line is not None and self.edit.blocks(path):
            changes = refresh(self.edit, path, parts, record, prefix, whole=whole)
            self.result.refreshed += changes.refreshed
            self.result.kept += changes.kept

    def with_known_names(self, setup: Setup) -> Setup:
        """Give each model the id that its file has in the text, and new ones an id and aliases that are free there."""
        entries = self.entries("models")
        known = {path: model_id for model_id, path in self.present.paths.items()}
        taken = set(entries) | {name for _, node in entries.values() for name in _texts(node, "aliases")}
        chosen = []
        for item in setup.chosen:
            candidate = item.candidate
            model_id = known.get(candidate.path)
            own = set(_texts(entries[model_id][1], "aliases")) if model_id is not None else set()
            if model_id is None:
                choices = (candidate.id, *(f"{candidate.id}-{number}" for number in range(2, 10_000)))
                model_id = next(choice for choice in choices if choice not in taken)
            aliases = tuple(
                alias for alias in candidate.aliases if (alias in own or alias not in taken) and alias != model_id
            )
            taken |= {model_id, *aliases}
            self.result.ids[candidate.path] = model_id
            chosen.append(replace(item, candidate=replace(candidate, id=model_id, aliases=aliases)))
        chosen.sort(key=lambda item: item.candidate.id)
        return replace(setup, chosen=chosen, macro=self.macro_name(setup))

    def macro_name(self, setup: Setup) -> str:
        """Return the macro's name: another one where a person uses it for a command that takes no port."""
        entry = self.entries("macros").get(setup.macro)
        text = entry[1].text if entry is not None and isinstance(entry[1], ScalarNode) else "${PORT}"
        return setup.macro if "${PORT}" in text else f"{setup.macro}-generated"

    def macro(self, setup: Setup) -> None:
        """Refresh the macro that starts the engine, or add it in front of the others: it uses none of them."""
        parts, block, children = macro_parts(setup), self.edit.block(("macros",)), self.edit.blocks(("macros",))
        says = _values(("macros",), parts)
        if block is None:
            models = self.edit.block(("models",))
            if models is None:
                self.add_below(["macros:", *write_parts(parts, 2)], says)
            else:
                self.edit.insert(comments_above(self.edit, models), ["macros:", *write_parts(parts, 2), ""], says)
            return
        record = find_record(self.edit, block.start + 1, block.end)
        if setup.macro in self.entries("macros") or setup.macro in record.marks:
            self.refresh(("macros",), parts, record, "macros.")
        elif any(child.inline for child in children):
            raise ValueError(ONE_LINE.format("macros"))
        else:
            indent = children[0].indent if children else 2
            end = block.start + 1 if children else block.end
            self.edit.replace(block.start, end, ["macros:", *write_parts(parts, indent)], says)

    def models(self, setup: Setup) -> None:
        """Refresh the models that are there and add the others."""
        blocks = {block.key.text: block for block in self.edit.blocks(("models",))}
        if any(block.inline for block in blocks.values()):
            raise ValueError(ONE_LINE.format("models"))
        indent = min((block.indent for block in blocks.values()), default=2)
        lines: list[str] = []
        says: dict[KeyPath, object] = {}
        for chosen in setup.chosen:
            model_id, parts = chosen.candidate.id, model_parts(setup, chosen)
            block = blocks.get(model_id)
            if block is None:
                lines += ["", *model_lines(setup, chosen, indent)]
                says |= _values(("models", model_id), parts)
                self.result.added.append(model_id)
            elif isinstance(block.node, MappingNode):
                record = find_record(self.edit, block.start + 1, block.end)
                parts = self.with_choice(block, record, parts)
                self.refresh(block.path, parts, record, f"{model_id}.", whole=True)
        if lines:
            self.append("models", lines, says)

    def with_choice(self, block: Block, record: RecordLine, parts: list[DocumentPart]) -> list[DocumentPart]:
        """Return what is generated for a model with the placement that a person has chosen."""
        kept = with_kept_choice(self.edit, block.path, record, parts)
        if [part.value for part in kept if part.key == "cmd"] != [part.value for part in parts if part.key == "cmd"]:
            self.result.kept.append(f"{block.key.text}.placement")
        return kept

    def missing(self, today: str) -> None:
        """Mark and hide models whose file is gone; take the marks away when it is back."""
        for block in self.edit.blocks(("models",)):
            name = block.key.text
            marked = [number for number in range(block.start, block.end) if self.is_mark_of_missing(number)]
            children = self.edit.blocks(block.path) if bool(marked) != (name in self.present.missing) else []
            if not children:
                continue
            if not marked:
                self.hide(block, " " * min(child.indent for child in children), today)
                self.result.vanished.append(name)
            else:
                self.show(block, marked)
                self.result.returned.append(name)

    def hide(self, block: Block, space: str, today: str) -> None:
        """Mark a model whose file is gone, and take it off the lists."""
        lines = [f"{space}{MISSING} {today}: {self.present.paths[block.key.text]}"]
        says: dict[KeyPath, object] = {}
        if self.edit.block((*block.path, "unlisted")) is None:
            lines.append(f"{space}unlisted: true {HIDDEN}")
            says[(*block.path, "unlisted")] = True
        self.edit.insert(block.start + 1, lines, says)

    def show(self, block: Block, marked: Sequence[int]) -> None:
        """Take the marks off a model whose file is back."""
        unlisted = self.edit.block((*block.path, "unlisted"))
        for number in marked:
            if unlisted is not None and unlisted.start == number:
                self.edit.delete(unlisted)
            else:
                self.edit.replace(number, number + 1, ())

    def is_mark_of_missing(self, number: int) -> bool:
        line = self.edit.lines[number]
        return line.lstrip().startswith(MISSING) or line.endswith(HIDDEN)

    def groups(self, setup: Setup) -> None:
        """Put new models into their groups; sort all anew where nobody changed the members by hand."""
        groups = {block.key.text: block for block in self.edit.blocks(("groups",))}
        listed = {name: _texts(block.node, "members") for name, block in groups.items()}
        placed = {member for members in listed.values() for member in members}
        known, added = {chosen.candidate.id for chosen in setup.chosen}, set(self.result.added)
        ours = all(self.members_are_ours(groups[name]) for name in (LARGE, SMALL) if name in groups)
        indent = min((block.indent for block in groups.values()), default=2)
        lines: list[str] = []
        says: dict[KeyPath, object] = {}
        for name in (LARGE, SMALL):
            before, wanted = listed.get(name, []), members_of(setup, name)
            if self.only_new:
                members = [*before, *(self.result.added if name == LARGE else ())]
            elif ours and not placed - {*listed.get(LARGE, []), *listed.get(SMALL, [])}:
                members = sorted({*wanted, *(member for member in before if member not in known)})
            else:
                # A model that was there and is in no group was taken out of it by hand.
                members = [*before, *(member for member in wanted if member in added)]
            parts = group_parts(setup, name, members)
            if name in groups:
                self.group(groups[name], parts)
            elif members:
                lines += [f"{' ' * indent}{name}:", *write_parts(parts, indent + 2)]
                says |= _values(("groups", name), parts)
        if lines:
            self.append("groups", lines, says)

    def members_are_ours(self, block: Block) -> bool:
        """Tell whether the members of a group still are as they were generated."""
        record = find_record(self.edit, block.start + 1, block.end)
        child = self.edit.block((*block.path, "members"))
        return child is not None and is_untouched(self.edit, child, record.marks.get("members"))

    def group(self, block: Block, parts: Sequence[DocumentPart]) -> None:
        """Refresh one group; behind members that a person changed, new ones are added."""
        name, record = block.key.text, find_record(self.edit, block.start + 1, block.end)
        members = next(part for part in parts if part.key == "members")
        child = self.edit.block((*block.path, "members"))
        if child is None or child.inline:
            self.result.notes.append(f"the group {name} is left alone: its members are not on lines of their own")
            return
        if self.members_are_ours(block):
            refresh(self.edit, block.path, [members] if self.only_new else parts, record, f"{name}.")
            return
        self.refresh(block.path, [part for part in parts if part.key != "members"], record, f"{name}.")
        self.add_members(child, members)

    def add_members(self, child: Block, members: DocumentPart) -> None:
        """Put new members behind those that are there; `members` has both."""
        present = set(_strings(plain(child.node)))
        new = [member for member in _strings(members.value) if member not in present]
        items = [line for line in self.edit.lines[child.start + 1 : child.end] if line.lstrip().startswith("-")]
        if new and items:
            space = " " * indent_of(items[0])
            says = {child.path: [*plain(child.node), *new]}
            self.edit.insert(child.end, [f"{space}- {scalar(member)}" for member in new], says)
        elif new:
            lines = write_part(replace(members, comments=()), child.indent)
            self.edit.replace(child.start, child.end, lines, {child.path: members.value})

    def append(self, key: str, lines: Sequence[str], says: Mapping[KeyPath, object]) -> None:
        """Put lines behind the last entry of a top-level mapping, which is made if it is not there."""
        edit, block = self.edit, self.edit.block((key,))
        if block is None:
            self.add_below([f"{key}:", *lines], says)
        elif edit.blocks((key,)):
            edit.insert(block.end, lines, says)
        else:
            edit.replace(block.start, block.end, [f"{key}:", *lines], says)

    def add_below(self, lines: Sequence[str], says: Mapping[KeyPath, object]) -> None:
        """Put lines behind all that the text says, with an empty line between."""
        end = len(self.edit.lines)
        while end > 0 and not self.edit.lines[end - 1].strip():
            end -= 1
        self.edit.insert(end, ["", *lines], says)


def _values(path: KeyPath, parts: Sequence[DocumentPart]) -> dict[KeyPath, object]:
    """Return what generated keys say at their paths."""
    return {(*path, part.key): part.value for part in parts}


def _disturbs(key: str) -> bool:
    """Tell whether a refreshed key makes a model that runs start anew."""
    return key.startswith("macros.") or key.endswith((".cmd", ".env"))


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _texts(node: Node, key: str) -> list[str]:
    """Return the texts in a list under a key of a mapping; none when there is no such list."""
    value = node.entries[key][1] if isinstance(node, MappingNode) and key in node.entries else None
    return (
        [item.text for item in value.items if isinstance(item, ScalarNode)] if isinstance(value, SequenceNode) else []
    )
