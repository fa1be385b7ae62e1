"""Tables in terminals of any width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from claracore.cli.fitted import fitted, narrowed

HEAD = ("model", "state", "memory", "ttl", "")
ROWS = [
    ("qwen3-30b-a3b", "ready", "17.3 GiB", "29 min", "started with 4096 tokens: memory was short"),
    ("b", "stopped", "-", "-", ""),
]


def test_what_fits_stays_as_it_is() -> None:
    wide = fitted(HEAD, ROWS, None)
    assert wide == [
        "model          state    memory    ttl",
        "qwen3-30b-a3b  ready    17.3 GiB  29 min  started with 4096 tokens: memory was short",
        "b              stopped  -         -",
    ]
    assert fitted(HEAD, ROWS, 200) == wide


def test_what_is_too_wide_goes_on_in_the_next_line() -> None:
    assert fitted(HEAD, ROWS, 60) == [
        "model         state   memory   ttl",
        "qwen3-30b-a3b ready   17.3 GiB 29 min started with 4096",
        "                                      tokens: memory was",
        "                                      short",
        "b             stopped -        -",
    ]


def test_columns_that_say_nothing_go_first() -> None:
    rows = [("one", "-", "a text of some length"), ("two", "-", "b")]
    assert fitted(("model", "port", "note"), rows, 30) == [
        "model  note",
        "one    a text of some length",
        "two    b",
    ]


def test_in_the_narrowest_each_row_is_a_block() -> None:
    assert fitted(HEAD, ROWS, 40) == [
        "qwen3-30b-a3b",
        "  state: ready",
        "  memory: 17.3 GiB",
        "  ttl: 29 min",
        "  started with 4096 tokens: memory was",
        "  short",
        "",
        "b",
        "  state: stopped",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert fitted(("a", "b"), [], 80) == ["a  b"]


def test_narrow_columns_stay_as_they_are() -> None:
    assert narrowed([40, 5, 30], 60) == [29, 5, 26] or sum(narrowed([40, 5, 30], 60) or ()) == 60
    assert narrowed([40, 5, 30], 20) is None


CELLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=4), st.integers(20, 200))
def test_no_line_is_too_long_and_nothing_is_lost(rows: list[tuple[str, ...]], width: int) -> None:
    lines = fitted(("one", "two", "three", "four"), rows, width)
    assert all(len(line) <= width for line in lines)
    signs = sorted("".join(lines).replace(" ", ""))
    for row in rows:
        for cell in row:
            if cell not in {"", "-"}:
                assert all(signs.count(sign) >= cell.count(sign) for sign in set(cell))
