"""How are counts and distributions kept, and how are they written for Prometheus?

Plain numbers in plain dictionaries; nothing here knows what is counted. Exposition format: version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

Labels = tuple[str, ...]
"""Values of the labels, in the order of the family's label names."""

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
MOST_SERIES = 2_000
"""Per family. What would exceed it is counted under the labels `other`: clients must not be able to fill our memory."""


class Counter:
    """Numbers that only grow, one for each combination of labels."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self.values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count."""
        value = self.values.get(labels)
        if value is None:
            if len(self.values) >= MOST_SERIES:
                labels = ("other",) * len(labels)
            value = self.values.get(labels, 0.0)
        self.values[labels] = value + by

    def lines(self) -> Iterator[str]:
        """Return the samples."""
        for labels, value in self.values.items():
            yield sample(self.name, zip(self.labels, labels, strict=True), value)


class Histogram:
    """Distributions over fixed bounds, one for each combination of labels."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> None:
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self._counts.get(labels)
        if counts is None:
            if len(self._counts) >= MOST_SERIES:
                labels = ("other",) * len(labels)
            counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
            self._sums.setdefault(labels, 0.0)
        counts[bisect.bisect_left(self.bounds, value)] += 1
        self._sums[labels] += value

    def total(self, *labels: str) -> tuple[int, float]:
        """Return how many values there were, and their sum."""
        return sum(self._counts.get(labels, ())), self._sums.get(labels, 0.0)

    def lines(self) -> Iterator[str]:
        """Return the samples: cumulative buckets, sum and count."""
        for labels, counts in self._counts.items():
            named = list(zip(self.labels, labels, strict=True))
            total = 0
            for bound, count in zip((*self.bounds, float("inf")), counts, strict=True):
                total += count
                yield sample(f"{self.name}_bucket", [*named, ("le", number(bound))], total)
            yield sample(f"{self.name}_sum", named, self._sums[labels])
            yield sample(f"{self.name}_count", named, total)


class Gauge:
    """Numbers of this moment, given as they are asked for; also counters that somebody else keeps."""

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str],
        values: Iterable[tuple[Labels, float]],
        *,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        self.kind = kind
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self.values = tuple(values)

    def lines(self) -> Iterator[str]:
        """Return the samples."""
        for labels, value in self.values:
            yield sample(self.name, zip(self.labels, labels, strict=True), value)


Family = Counter | Histogram | Gauge


def exposition(families: Iterable[Family]) -> str:
    """Return the text that Prometheus reads."""
    out: list[str] = []
    for family in families:
        out += [f"# HELP {family.name} {_escaped_help(family.help)}", f"# TYPE {family.name} {family.kind}"]
        out += family.lines()
    return "\n".join(out) + "\n"


def sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """Return one line."""
    inside = ",".join(f'{key}="{escaped(text)}"' for key, text in labels)
    return f"{name}{{{inside}}} {number(value)}" if inside else f"{name} {number(value)}"


def number(value: float) -> str:
    """Return a number as Prometheus writes it."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def escaped(text: str) -> str:
    """Return a label value with its special characters escaped."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?(\s+\S+(?:\s+-?\d+)?)\s*")


def merged(expositions: Mapping[str, str]) -> str:
    """Return the expositions of several models as one, each sample under the label `model`.

    The samples of a family stand together, as the format demands; what is no sample is left out.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for model, text in expositions.items():
        family = ""
        for line in text.splitlines():
            if line.startswith(("# TYPE ", "# HELP ")):
                family = line.split(" ", 3)[2]
                told = heads.setdefault(family, [])
                if not any(line[:6] == other[:6] for other in told):
                    told.append(line)
            elif (found := _SAMPLE.fullmatch(line)) is not None:
                name, labels, rest = found.groups()
                inside = f'model="{escaped(model)}"' + (f",{labels}" if labels else "")
                samples.setdefault(family if family and name.startswith(family) else name, []).append(
                    f"{name}{{{inside}}}{rest.rstrip()}"
                )
    lines = [line for family, its in samples.items() for line in (*heads.get(family, ()), *its)]
    return "\n".join(lines) + "\n" if lines else ""
