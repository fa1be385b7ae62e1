"""Patterns mean what they mean in Go: a corpus, and RE2 itself as a second reader."""

from __future__ import annotations

import json

import pytest
import re2  # type: ignore[import-untyped] # none are published
from hypothesis import example, given
from hypothesis import strategies as st

from claracore.core.config.load import load
from claracore.core.config.program import DEFAULT_IGNORED_PATHS
from claracore.core.config.regex import LONGEST_TEXT, Regex
from claracore.core.config.regex_letters import CATEGORIES, SCRIPTS
from claracore.core.config.regex_syntax import BadRegex

CORPUS: list[tuple[str, list[str], list[str]]] = [
    (DEFAULT_IGNORED_PATHS, ["/a/index-1.js", "/x.css"], ["/v1/models", "/a.jsx", "/a.js/b", "/x.css\n"]),
    (r"\.js\z", ["/a.js"], ["/a.js\n", "/a.jsx"]),
    (r"^/\pL+$", ["/größe", "/模型"], ["/a1", "/", "/-"]),
    (r"\p{Lu}\p{Greek}", ["/A\u03b1"], ["/a\u03b1", "/Aa"]),
    (r"[\PN]\p{^L}", ["/a-"], ["12", "ab"]),
    (r"^/\Qa.b*\E/?$", ["/a.b*", "/a.b*/"], ["/axb*", "/a.b"]),
    (r"\Q[", ["["], ["a"]),
    (r"/a(?i)b/c", ["/aB/C", "/ab/c"], ["/AB/C"]),
    (r"/a(?i:b)/c", ["/aB/c"], ["/aB/C"]),
    ("(?i)/STRASSE-\u017f-K", ["/strasse-s-k"], ["/strase-s-k"]),
    (r"(?i)[^k]", ["x"], ["k", "K", "\u212a"]),
    (r"(?U)^/a+$", ["/aaa"], ["/"]),
    (r"(?U)a{2,3}?b", ["aab"], ["ab"]),
    (r"^/[[:alpha:]]+$", ["/aZ"], ["/ä", "/1"]),
    (r"^/[[:^digit:]]$", ["/x"], ["/1"]),
    (r"[]a-]x", ["]x", "-x", "ax"], ["bx"]),
    (r"(?m)^b$", ["a\nb\nc"], ["ab"]),
    (r"^b$", ["b"], ["a\nb", "b\n"]),
    (r"a.b", ["axb"], ["a\nb"]),
    (r"(?s)a.b", ["a\nb"], ["ab"]),
    (r"\bv1\b", ["/v1/x"], ["/v12", "/_v1"]),
    (r"\Bv1", ["av1"], ["/v1"]),
    (r"(?P<kind>js|css)(?<end>$)", ["a.css"], ["a.cs"]),
    (r"a{2}b{1,}c{,2}", ["aabbc{,2}"], ["aabbc"]),
    (r"\x41\x{1F600}\101\07", ["A😀A\a"], ["A"]),
    (r"", [""], []),
    ("a{\u0662}$", ["a{\u0662}"], ["aa"]),
    ("(?i)^[\u00df\u03c2\u01c5\u03d0\u00b5]{2}$", ["\u1e9e\u03a3", "\u01c6\u03b2", "\u03bc\u01c4"], ["s\u03c4"]),
    ("(?i)^\\p{Lu}$", ["\u00df", "a"], ["\u0131", "1"]),
    (r"a||b", ["x"], []),
    (r"(a*)*c", ["aac", "c"], ["ab"]),
    (r"(|a){3}$", ["b"], []),
]


@pytest.mark.parametrize(("text", "inside", "outside"), CORPUS, ids=[text for text, _, _ in CORPUS])
def test_the_corpus(text: str, inside: list[str], outside: list[str]) -> None:
    pattern, oracle = Regex(text), re2.compile(text)
    for sample in (*inside, *outside):
        assert pattern.occurs_in(sample) is (sample in inside), sample
        assert (oracle.search(sample) is not None) is (sample in inside), sample


BAD = [
    ("(", "a ( that is not closed at character 1"),
    ("a)", "a ) that closes nothing at character 2"),
    ("[a", "a [ that is not closed at character 1"),
    ("[]", "a [ that is not closed at character 1"),
    ("*a", "'*' repeats nothing at character 1"),
    ("a|{2}", "'{2}' repeats nothing at character 3"),
    ("a**", "a repetition of a repetition at character 3"),
    ("a{2}{3}", "a repetition of a repetition at character 5"),
    ("a{3,2}", "a repetition that cannot be at character 2"),
    ("a{1001}", "a repetition that cannot be at character 2"),
    ("(a{100}){100}", "repetitions that multiply to more than 1000 at character 9"),
    ("(a*b*c*){999}", "more repetitions than can be followed"),
    (r"\1", "an escape that there is not at character 1"),
    (r"\Z", "an escape that there is not at character 1"),
    ("\\", "an escape that there is not at character 1"),
    ("(?=a)", "a group of a kind that there is not at character 1"),
    ("(?<!a)", "a group of a kind that there is not at character 1"),
    ("(?P<n>a)(?P<n>b)", "a group of a kind that there is not at character 9"),
    ("[z-a]", "a range that ends before it begins at character 2"),
    ("[[:foo:]]", "a named class that there is not at character 2"),
    (r"\p{Klingon}", "a class of Unicode that there is not at character 1"),
    ("a|" * 10_001, "longer than 20,000 characters"),
    ("(" * 200 + ")" * 200, "parentheses more than 100 levels deep at character 102"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text[:20] for text, _ in BAD])
def test_what_is_no_pattern_is_an_error_with_a_place(text: str, message: str) -> None:
    with pytest.raises(BadRegex) as refused:
        Regex(text)
    assert str(refused.value) == message
    assert load(f"upstream: {{ignorePaths: [{json.dumps(text)}]}}", env={}).config is None


@pytest.mark.parametrize(
    "text", [r"(a+)+$", r"(a|a)*b", r"(a*)*c", r"(a|aa)+$", r"(.*)(.*)(.*)(.*)[^a]$", r"(a?){300}a{300}$"]
)
def test_no_pattern_takes_more_than_its_share(text: str) -> None:
    """Python's own expressions take 30 s for the first with 28 letters, and twice that for each more."""
    pattern = Regex(text)
    path = "/" + "a" * (LONGEST_TEXT - 2) + "!"
    assert pattern.occurs_in(path) is (re2.search(text, path) is not None)
    assert not pattern.occurs_in(path + "a" * 2), "longer than any path that is looked at"


def test_what_is_remembered_is_bounded() -> None:
    pattern = Regex(r"(a|b)*a(a|b){12}$")
    for number in range(1 << 12):
        sample = f"{number:013b}".replace("0", "a").replace("1", "b")
        assert pattern.occurs_in(sample) is (sample[0] == "a")
    assert len(pattern._states) <= 500


PARTS = st.sampled_from(
    [
        *("a", "b", "k", "S", ".", "^", "$", r"\d", r"\W", r"\w", r"\b", r"\z", r"\A", "[a-c]", "[^a]", r"\s", r"\_"),
        *("[[:alpha:]]", "[^[:digit:]x]", r"[\d-]", r"\pL", r"\p{Lu}", r"\PN", r"\Qa.b\E", r"\.", r"\x41", r"\x{e9}"),
        *(
            "é",
            "K",
            "\u017f",
            "\n",
            "/",
            "{",
            "{1",
            "}",
            "]",
            "-",
            r"\n",
            "(?i)",
            "(?s)",
            "(?m)",
            "(?U)",
            "(?-i)",
            r"\q",
        ),
        *("|", "*", "+", "?", "*?", "{2}", "{1,}", "{0,2}", "(", "(?:", "(?i:", "(?P<n>", ")", r"\1", r"\07", "[]a]"),
        *("[a", "[z-a]", r"[\pL&&b]", r"\p{Greek}", "\u03b1", "[[:^space:]]", r"\pX"),
    ]
)
SAMPLES = st.lists(st.text("abckKsS\u017f.AxéÉ\u03b11_ -/\n{}]", max_size=8), min_size=1, max_size=4)


@given(st.lists(PARTS, max_size=7).map("".join), SAMPLES)
@example(r"a(?i)*b", ["aab", "AB"])
def test_re2_reads_the_same(text: str, samples: list[str]) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        oracle = re2.compile(text, options)
    except re2.error:
        with pytest.raises(BadRegex):
            Regex(text)
        return
    pattern = Regex(text)
    for sample in samples:
        assert pattern.occurs_in(sample) is (oracle.search(sample) is not None), sample


def test_re2_knows_every_class_of_unicode() -> None:
    for name in CATEGORIES | SCRIPTS:
        oracle = re2.compile(rf"\p{{{name}}}")
        if name in {"Greek", "Latin", "Han", "Cyrillic", "Lu", "Nd", "P"}:
            for sample in ("\u03a9", "z", "\u6a21", "\u0436", "Q", "7", ";", "\u4e00", " "):
                assert Regex(rf"\p{{{name}}}").occurs_in(sample) is (oracle.search(sample) is not None), (name, sample)
