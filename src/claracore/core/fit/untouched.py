"""Which commands of a configuration are as setup wrote them?"""

from __future__ import annotations

from claracore.core.config.lines import LineEdit
from claracore.core.config.tree import MappingNode
from claracore.core.fit.refresh import find_record, is_untouched


def untouched_commands(text: str) -> frozenset[str]:
    """Return the ids of the models whose `cmd` nobody has changed since it was generated.

    Raises config.tree.Unreadable for a text that is not YAML.
    """
    edit = LineEdit(text)
    found = set()
    for block in edit.blocks(("models",)):
        if isinstance(block.node, MappingNode):
            record = find_record(edit, block.start + 1, block.end)
            command = edit.block((*block.path, "cmd"))
            if command is not None and is_untouched(edit, command, record.marks.get("cmd")):
                found.add(block.key.text)
    return frozenset(found)
