"""How can a GGUF file be wrong?"""

from __future__ import annotations


class GGUFError(ValueError):
    """The bytes are not a GGUF header that can be used; the message says what is wrong and where."""


class NotGGUF(GGUFError):
    """The magic number is missing: this is some other file."""


class HeaderTruncated(GGUFError):
    """The file ends inside its header, like an unfinished download."""
