from __future__ import annotations

import re
from pathlib import Path

from claracore.core.config.load import load
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.ports.plan import plan

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ports.md").read_text(encoding="utf-8")


def test_the_example_gives_the_ports_that_its_comments_say() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    loaded = load(blocks[0], env={})
    assert loaded.config is not None
    made = plan(loaded.config, Listen(), places=loaded.places)
    assert made.findings == ()
    said = {name: int(port) for name, port in re.findall(r"^  (\w+):\n    cmd: .*# (\d+)", blocks[0], re.MULTILINE)}
    assert said == {**made.assignment, **made.fixed}
    assert load(blocks[1], env={}).config is not None


def test_the_listen_forms_of_the_page_are_understood() -> None:
    forms = re.findall(r"^\| `([^`]+)` \| (?:this|all|one|the system|5800)", PAGE, re.MULTILINE)
    assert len(forms) == 6
    for form in forms:
        parse_listen(form)
