"""Which commands of a configuration are as setup wrote them?"""

from __future__ import annotations

from claracore.core.config.lines import LineEdit, plain
from claracore.core.config.tree import MappingNode
from claracore.core.fit.refresh import find_record, is_untouched


def untouched_commands(text: str) -> dict[str, str]:
    """Return each `cmd` that nobody has changed since it was generated, as it is written, by the id of its model.

    Raises config.tree.Unreadable for a text that is not YAML.
    """
    edit = LineEdit(text)
    found = {}
    for block in edit.blocks(("models",)):
        if isinstance(block.node, MappingNode):
            record = find_record(edit, block.start + 1, block.end)
            command = edit.block((*block.path, "cmd"))
            if command is not None and is_untouched(edit, command, record.marks.get("cmd")):
                found[block.key.text] = str(plain(command.node))
    return found
