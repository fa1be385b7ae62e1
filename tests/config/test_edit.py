from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.config.edit import EditRefused, merge, put, remove
from claracore.core.config.lines import LineEdit, NoSimpleWay, read_plain
from claracore.core.config.load import load
from config.corpus_files import VALID, Case

TEXT = """\
# my models
startPort:   5800   # old habit
macros:
    server: "llama-server"   # quoted on purpose

models:
  # the big one
  qwen:
    cmd: |
      ${server} --port ${PORT}
      -m /models/qwen.gguf

    ttl: 300 # five minutes
    aliases: [ gpt-4,   'gpt-4o' ]

  # the small one
  phi:
    cmd:   ${server} --port ${PORT} -m "/models/phi.gguf"
    env:
    - A=1   # one
    - B=2

# the end
logLevel: info
"""


def test_a_number_is_replaced_and_nothing_else() -> None:
    assert put(TEXT, ("startPort",), 8100) == TEXT.replace("5800", "8100")
    assert put(TEXT, ("models", "qwen", "ttl"), "10m") == TEXT.replace("300 #", "10m #")


def test_a_new_option_goes_below_its_siblings() -> None:
    assert put(TEXT, ("models", "phi", "ttl"), 60) == TEXT.replace("    - B=2\n", "    - B=2\n    ttl: 60\n")
    assert put(TEXT, ("globalTTL",), 60) == TEXT + "globalTTL: 60\n"


def test_a_new_model_keeps_the_spacing_of_the_others() -> None:
    added = put(TEXT, ("models", "new"), {"cmd": "x --port ${PORT} \\\n  -m y\n", "ttl": 5})
    lines = "\n  new:\n    cmd: |\n      x --port ${PORT} \\\n        -m y\n    ttl: 5\n"
    assert added == TEXT.replace("    - B=2\n", "    - B=2\n" + lines)
    assert read_plain(added)["models"]["new"]["cmd"] == "x --port ${PORT} \\\n  -m y\n"


def test_a_list_in_brackets_stays_in_brackets() -> None:
    changed = put(TEXT, ("models", "qwen", "aliases"), ["gpt-5", "x, y"])
    assert changed == TEXT.replace("[ gpt-4,   'gpt-4o' ]", "[gpt-5, 'x, y']")


def test_removing_takes_the_lines_and_leaves_the_comments_of_others() -> None:
    changed = remove(TEXT, ("models", "phi"))
    assert "phi" not in changed
    assert changed.startswith(TEXT[: TEXT.index("  phi:")])
    assert changed.endswith("\n# the end\nlogLevel: info\n")
    assert remove(TEXT, ("models", "nobody")) == TEXT


def test_removing_the_last_one_leaves_an_empty_mapping() -> None:
    assert remove("models:\n  a:\n    cmd: x\nlogLevel: info\n", ("models", "a")) == "models: {}\nlogLevel: info\n"
    assert remove("logLevel: info\n", ("logLevel",)) == ""


def test_the_first_option_of_an_empty_text() -> None:
    assert put("", ("models", "a", "cmd"), "x") == "models:\n  a:\n    cmd: x\n"
    assert put("# only a comment\n", ("startPort",), 1) == "# only a comment\nstartPort: 1\n"
    assert put("models:\n", ("models", "a", "cmd"), "x") == "models:\n  a:\n    cmd: x\n"
    assert put("models: {} # none\n", ("models", "a", "cmd"), "x") == "models: # none\n  a:\n    cmd: x\n"


def test_a_comment_beside_a_value_that_grows_stays_outside_of_it() -> None:
    assert put("cmd: x # why\n", ("cmd",), "a\nb\n") == "cmd: | # why\n  a\n  b\n"


def test_mappings_in_braces_go_through_the_round_trip() -> None:
    text = "# top\nmodels: {a: {cmd: x, ttl: 1}, b: {cmd: '${env.B}'}} # flow\n"
    changed = put(text, ("models", "a", "ttl"), 2)
    assert changed == "# top\nmodels: {a: {cmd: x, ttl: 2}, b: {cmd: '${env.B}'}} # flow\n"


def test_what_an_anchor_shares_is_not_changed_for_all() -> None:
    text = "a: &shared\n  x: 1\nb: *shared\nc:\n  <<: *shared\n  y: 2\n"
    with pytest.raises(EditRefused, match=r"b\.x cannot be changed"):
        put(text, ("b", "x"), 2)
    assert put(text, ("c", "x"), 3) == text + "  x: 3\n"


def test_a_merge_patch_sets_removes_and_merges() -> None:
    patch = {"ttl": None, "name": "Qwen", "filters": {"stripParams": "top_p"}}
    changed = merge(TEXT, ("models", "qwen"), patch)
    model = read_plain(changed)["models"]["qwen"]
    assert "ttl" not in model
    assert model["name"] == "Qwen"
    assert model["filters"] == {"stripParams": "top_p"}
    assert "# quoted on purpose" in changed


KEYS = st.text("abcxyz-_. 1:#'\"é", min_size=1, max_size=6).filter(lambda key: key != "<<")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.text("ab: #'\"\\\n{}[]$-é*&!|>%@`", max_size=12),
    st.sampled_from(["yes", "null", "1.0", "0x1F", "~", "", " x", "x ", "a\nb\n", "\n", "- a", "? b"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.lists(st.tuples(KEYS, KEYS, VALUES), max_size=4))
def test_any_edit_says_what_was_asked_for(start: dict[str, object], edits: list[tuple[str, str, object]]) -> None:
    text = ""
    wanted: dict[str, object] = {}
    for key, value in start.items():
        text = put(text, (key,), value)
        wanted[key] = value
    assert read_plain(text) == wanted
    for outer, inner, value in edits:
        text = put(text, (outer, inner), value)
        below = wanted.get(outer)
        wanted[outer] = {**(below if isinstance(below, dict) else {}), inner: value}
        assert read_plain(text) == wanted
    for key in list(wanted):
        text = remove(text, (key,))
        del wanted[key]
        assert read_plain(text) == wanted


@given(st.sampled_from(["startPort", "logLevel", "models", "new key"]), SCALARS)
def test_lines_that_an_edit_is_not_about_stay(key: str, value: object) -> None:
    changed = put(TEXT, (key,), value)
    kept = [line for line in TEXT.split("\n") if not line.startswith((" ", key)) and "old habit" not in line]
    assert [line for line in changed.split("\n") if line in kept]
    for line in kept:
        assert line in changed.split("\n")


def test_a_second_document_is_in_the_way() -> None:
    with pytest.raises(EditRefused, match="second document"):
        put("a: 1\n---\nb: 2\n", ("a",), 2)


def test_an_anchor_may_be_defined_twice() -> None:
    text = "a: &x 1\nb: *x\nc: &x 2\nd: *x\ne: 5 # five\n"
    assert read_plain(put(text, ("e",), 6)) == {"a": 1, "b": 1, "c": 2, "d": 2, "e": 6}


@pytest.mark.parametrize("case", [case for case in VALID if str(case) != "two-documents"], ids=str)
def test_an_edit_of_one_model_changes_that_model_only(case: Case) -> None:
    before = case.load().config
    assert before is not None
    for model_id, model in before.models.items():
        text = put(case.text, ("models", model_id, "ttl"), 77)
        after = load(text, env=case.env).config
        assert after is not None
        expected = {**before.models, model_id: model.model_copy(update={"ttl_seconds": 77.0})}
        assert after.models == expected
        assert after.model_copy(update={"models": before.models}) == before
        changed = [line for line in difflib.ndiff(case.text.split("\n"), text.split("\n")) if line.startswith("- ")]
        assert len(changed) <= 1, "an edit replaces one line at most"


def test_a_value_keeps_its_quotes_and_its_indentation() -> None:
    text = "a: \"x\" # why\nb: 'it''s'\nc:\n   cmd: |\n        one\n        two\n\n   d: {e: 1, f: [g, 'h']}\n"
    assert put(text, ("a",), 'y"z') == text.replace('"x"', '"y\\"z"')
    assert put(text, ("b",), "it's not") == text.replace("it''s", "it''s not")
    assert put(text, ("c", "cmd"), "one\n  2\n") == text.replace("two", "  2")
    assert put(text, ("c", "d", "e"), 2) == text.replace("e: 1", "e: 2")
    assert put(text, ("c", "d", "e"), "a, b") == text.replace("e: 1", "e: 'a, b'")
    assert put(text, ("c", "d", "f"), ["g"]) == text.replace("[g, 'h']", "[g]")


def test_items_that_stay_in_a_list_keep_their_comments() -> None:
    text = "members:\n  - a # the first\n  # about b\n  - b\n  - c\nend: 1\n"
    assert put(text, ("members",), ["a", "c"]) == text.replace("  - b\n", "")
    assert put(text, ("members",), ["a", "b", "c", "- d"]) == text.replace("  - c\n", "  - c\n  - '- d'\n")
    assert put(text, ("members",), ["c", "d"]) == "members:\n  # about b\n  - c\n  - d\nend: 1\n"
    assert put(text, ("members",), []) == "members: []\nend: 1\n"
    assert read_plain(put(text, ("members",), ["c", "a"]))["members"] == ["c", "a"]


def test_a_comment_below_a_value_belongs_to_it() -> None:
    text = "models:\n  a:\n    cmd: x\n    # ttl: 5\n  # b: not yet\nend: 1\n"
    assert put(text, ("models", "a", "ttl"), 1) == text.replace("    # ttl: 5\n", "    ttl: 1\n    # ttl: 5\n")
    added = put(text, ("models", "c"), {"cmd": "y"})
    assert added == text.replace("    # ttl: 5\n", "    # ttl: 5\n  c:\n    cmd: y\n")
    assert remove(added, ("models", "a")) == "models:\n  c:\n    cmd: y\n  # b: not yet\nend: 1\n"


def test_windows_line_ends_stay() -> None:
    text = TEXT.replace("\n", "\r\n")
    for path, value in (
        (("startPort",), 1),
        (("models", "phi", "env"), ["A=1"]),
        (("models", "qwen", "cmd"), "x\ny\n"),
    ):
        changed = put(text, path, value)
        assert changed.count("\n") == changed.count("\r\n")
        assert put(TEXT, path, value) == changed.replace("\r\n", "\n")
    assert put("a: 1\r\nb: 2", ("b",), 3) == "a: 1\r\nb: 3"
    assert put("a: 1\r\nb: 2", ("c",), 3) == "a: 1\r\nb: 2\r\nc: 3\r\n"


def test_several_changes_are_planned_at_once_and_checked() -> None:
    edit = LineEdit(TEXT)
    port, ttl = edit.block(("startPort",)), edit.block(("models", "qwen", "ttl"))
    assert port is not None
    assert ttl is not None
    edit.replace(port.start, port.end, ["startPort: 1"], {("startPort",): 1})
    edit.delete(ttl)
    edit.insert(edit.blocks(())[-1].end, ["last: 2"], {("last",): 2})
    changed = edit.result().text
    assert (
        changed
        == TEXT.replace("5800   # old habit", "1")
        .replace("startPort:   1", "startPort: 1")
        .replace("    ttl: 300 # five minutes\n", "")
        + "last: 2\n"
    )
    edit.insert(0, ["first: 3"])
    with pytest.raises(NoSimpleWay, match="something else"):
        edit.result()
