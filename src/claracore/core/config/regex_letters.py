r"""Which letters does a class of a pattern mean? (RE2's syntax, which is that of Go)

A class is a function that says of a letter whether it belongs. `\d`, `\s`, `\w` and `[:alpha:]` are ASCII's, `\pL` is
Unicode's; scripts (`\p{Greek}`) are told by the names of letters. Without regard to case a letter belongs when one of
its other cases does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

Test = Callable[[str], bool]

CATEGORIES = frozenset(
    [
        *("C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No"),
        *("P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs"),
    ]
)
SCRIPTS = {"Han": ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "CJK RADICAL", "KANGXI RADICAL")}
LAST_OF_SCRIPTS = 0x20000
_DIGIT, _UPPER, _LOWER = "09", "AZ", "az"
PERL = {
    "d": (_DIGIT,),
    "s": ("\t\n", "\f\r", "  "),
    "w": (_DIGIT, _UPPER, "__", _LOWER),
}
NAMED = {
    "alnum": (_DIGIT, _UPPER, _LOWER),
    "alpha": (_UPPER, _LOWER),
    "ascii": ("\x00\x7f",),
    "blank": ("\t\t", "  "),
    "cntrl": ("\x00\x1f", "\x7f\x7f"),
    "digit": (_DIGIT,),
    "graph": ("!~",),
    "lower": (_LOWER,),
    "print": (" ~",),
    "punct": ("!/", ":@", "[`", "{~"),
    "space": ("\t\r", "  "),
    "upper": (_UPPER,),
    "word": PERL["w"],
    "xdigit": (_DIGIT, "AF", "af"),
}
"""Ranges, each as its first and its last letter."""
# Cases of one letter that neither `lower` nor `upper` of the others leads to.
_MORE_CASES = {"k": "\u212a", "s": "\u017f", "\u00e5": "\u212b", "\u03b8": "\u03d1\u03f4", "\u03c9": "\u2126"}


def among(ranges: Sequence[str]) -> Test:
    """Return the class of the letters in these ranges."""
    bounds = [(each[0], each[1]) for each in ranges]
    return lambda letter: any(first <= letter <= last for first, last in bounds)


def one_of(tests: Sequence[Test]) -> Test:
    """Return the class of what belongs to one of these."""
    return tests[0] if len(tests) == 1 else lambda letter: any(test(letter) for test in tests)


def none_of(test: Test) -> Test:
    """Return the class of all other letters."""
    return lambda letter: not test(letter)


def any_case(test: Test) -> Test:
    """Return the class of the letters of which one case belongs."""
    return lambda letter: any(test(case) for case in cases_of(letter))


@lru_cache(maxsize=512)
def cases_of(letter: str) -> frozenset[str]:
    """Return a letter in all its cases, as far as each is one letter."""
    found = {letter}
    while more := {other for case in found for other in _other_cases(case) if len(other) == 1} - found:
        found |= more
    return frozenset(found)


def _other_cases(letter: str) -> tuple[str, ...]:
    return (letter.lower(), letter.upper(), *_MORE_CASES.get(letter, ""))


def of_unicode(name: str) -> Test | None:
    """Return the class of a general category or a script; None when there is none of this name."""
    if name == "Any":
        return lambda _letter: True
    if name in CATEGORIES:
        return lambda letter: unicodedata.category(letter).startswith(name)
    beginnings = SCRIPTS.get(name, (f"{name.upper().replace('_', ' ')} ",))
    if (
        len(name) < 2
        or not name[0].isupper()
        or not any(_name(number).startswith(beginnings) for number in range(LAST_OF_SCRIPTS))
    ):
        return None
    return lambda letter: _name(ord(letter)).startswith(beginnings)


def _name(number: int) -> str:
    return unicodedata.name(chr(number), "")
