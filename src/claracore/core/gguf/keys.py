"""What do the keys of a header say, read as the type that they should have?"""

from __future__ import annotations

from collections.abc import Mapping

from claracore.core.gguf.header import Array, Value


class ArchitectureKeys:
    """The keys of one architecture, by their short names and with their types checked."""

    def __init__(self, metadata: Mapping[str, Value]) -> None:
        self.metadata = metadata
        architecture = metadata.get("general.architecture")
        self.architecture = architecture if isinstance(architecture, str) else ""

    def get(self, key: str) -> Value | None:
        """Return the value of `ARCHITECTURE.key`, whatever its type."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def number(self, key: str) -> int | None:
        """Return a count, as `whole` reads it."""
        return whole(self.get(key))

    def fraction(self, key: str) -> float | None:
        """Return a number; None for any other type."""
        value = self.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, key: str) -> str | None:
        """Return a text; None for any other type."""
        value = self.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of an array; empty for any other type, and for an array that was not decoded."""
        value = self.get(key)
        values = value.values if isinstance(value, Array) else None
        return tuple(item for item in values or () if isinstance(item, str))

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return the counts of an array; empty for any other type."""
        value = self.get(key)
        values = value.values if isinstance(value, Array) else None
        return tuple(number for item in values or () if (number := whole(item)) is not None)

    def general(self, key: str) -> str | None:
        """Return the text of `general.key` without spaces around it; None for an empty one."""
        value = self.metadata.get(f"general.{key}")
        return value.strip() or None if isinstance(value, str) else None

    def per_layer(self, key: str, layers: int) -> tuple[int, ...]:
        """Return a scalar repeated for each layer, or an array cut or filled (with its last value) to `layers`."""
        value = self.get(key)
        if isinstance(value, Array):
            numbers = tuple(whole(item) or 0 for item in value.values or ())
            return (numbers + numbers[-1:] * (layers - len(numbers)))[:layers]
        number = whole(value)
        return () if number is None else (number,) * layers


def whole(value: Value | None) -> int | None:
    """Return a count; None for what is no non-negative whole number of at most 48 bits."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 1 << 48 else None


def count_of(metadata: Mapping[str, Value], key: str) -> int | None:
    """Return a count of a key of any architecture, as `whole` reads it."""
    return whole(metadata.get(key))
