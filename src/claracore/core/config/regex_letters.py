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
SCRIPTS = frozenset(
    [
        *("Adlam", "Ahom", "Anatolian_Hieroglyphs", "Arabic", "Armenian", "Avestan", "Balinese", "Bamum"),
        *("Bassa_Vah", "Batak", "Bengali", "Bhaiksuki", "Bopomofo", "Brahmi", "Braille", "Buginese", "Buhid"),
        *("Canadian_Aboriginal", "Carian", "Caucasian_Albanian", "Chakma", "Cham", "Cherokee", "Chorasmian"),
        *("Common", "Coptic", "Cuneiform", "Cypriot", "Cypro_Minoan", "Cyrillic", "Deseret", "Devanagari"),
        *("Dives_Akuru", "Dogra", "Duployan", "Egyptian_Hieroglyphs", "Elbasan", "Elymaic", "Ethiopic"),
        *("Georgian", "Glagolitic", "Gothic", "Grantha", "Greek", "Gujarati", "Gunjala_Gondi", "Gurmukhi"),
        *("Han", "Hangul", "Hanifi_Rohingya", "Hanunoo", "Hatran", "Hebrew", "Hiragana", "Imperial_Aramaic"),
        *("Inherited", "Inscriptional_Pahlavi", "Inscriptional_Parthian", "Javanese", "Kaithi", "Kannada"),
        *("Katakana", "Kawi", "Kayah_Li", "Kharoshthi", "Khitan_Small_Script", "Khmer", "Khojki"),
        *("Khudawadi", "Lao", "Latin", "Lepcha", "Limbu", "Linear_A", "Linear_B", "Lisu", "Lycian", "Lydian"),
        *("Mahajani", "Makasar", "Malayalam", "Mandaic", "Manichaean", "Marchen", "Masaram_Gondi"),
        *("Medefaidrin", "Meetei_Mayek", "Mende_Kikakui", "Meroitic_Cursive", "Meroitic_Hieroglyphs", "Miao"),
        *("Modi", "Mongolian", "Mro", "Multani", "Myanmar", "Nabataean", "Nag_Mundari", "Nandinagari"),
        *("New_Tai_Lue", "Newa", "Nko", "Nushu", "Nyiakeng_Puachue_Hmong", "Ogham", "Ol_Chiki"),
        *("Old_Hungarian", "Old_Italic", "Old_North_Arabian", "Old_Permic", "Old_Persian", "Old_Sogdian"),
        *("Old_South_Arabian", "Old_Turkic", "Old_Uyghur", "Oriya", "Osage", "Osmanya", "Pahawh_Hmong"),
        *("Palmyrene", "Pau_Cin_Hau", "Phags_Pa", "Phoenician", "Psalter_Pahlavi", "Rejang", "Runic"),
        *("Samaritan", "Saurashtra", "Sharada", "Shavian", "Siddham", "SignWriting", "Sinhala", "Sogdian"),
        *("Sora_Sompeng", "Soyombo", "Sundanese", "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le"),
        *("Tai_Tham", "Tai_Viet", "Takri", "Tamil", "Tangsa", "Tangut", "Telugu", "Thaana", "Thai"),
        *("Tibetan", "Tifinagh", "Tirhuta", "Toto", "Ugaritic", "Vai", "Vithkuqi", "Wancho", "Warang_Citi"),
        *("Yezidi", "Yi", "Zanabazar_Square"),
    ]
)
HAN = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "CJK RADICAL", "KANGXI RADICAL")
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
# Cases of one letter that neither `lower` nor `upper` of the others leads to: lower case, then the others.
_MORE_CASES = {
    letters[0]: letters[1:]
    for letters in (
        *("k\u212a", "s\u017f", "\u00df\u1e9e", "\u00e5\u212b", "\u1e61\u1e9b", "\u03b2\u03d0", "\u03b5\u03f5"),
        *("\u03b8\u03d1\u03f4", "\u03b9\u0345\u1fbe", "\u03ba\u03f0", "\u03bc\u00b5", "\u03c0\u03d6", "\u03c1\u03f1"),
        *(
            "\u03c3\u03c2",
            "\u03c6\u03d5",
            "\u03c9\u2126",
            "\u0432\u1c80",
            "\u0434\u1c81",
            "\u043e\u1c82",
            "\u0441\u1c83",
        ),
        *("\u0442\u1c84\u1c85", "\u044a\u1c86", "\u0463\u1c87", "\ua64b\u1c88"),
    )
}
_DOTLESS_I = "\u0131"
"""Its capital is that of another letter."""


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
    if letter == _DOTLESS_I:
        return ()
    return (letter.lower(), letter.upper(), letter.title(), *_MORE_CASES.get(letter, ""))


def of_unicode(name: str) -> Test | None:
    """Return the class of a general category or a script; None when there is none of this name."""
    if name == "Any":
        return lambda _letter: True
    if name in CATEGORIES:
        return lambda letter: unicodedata.category(letter).startswith(name)
    if name not in SCRIPTS:
        return None
    beginnings = HAN if name == "Han" else (f"{name.upper().replace('_', ' ')} ",)
    return lambda letter: unicodedata.name(letter, "").startswith(beginnings)
