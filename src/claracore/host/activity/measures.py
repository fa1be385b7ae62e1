"""How are counts and distributions kept, and how are they written for Prometheus?

Plain numbers in plain dictionaries; nothing here knows what is counted. Exposition format: version 0.0.4
(https://prometheus.io/docs/instrumenting/exposition_formats/). prometheus_client 0.26 takes 25 times as long for each
observation (locks, for threads that we do not have), 3.9 KB for a histogram's series instead of 0.4, and does not bound
the number of series.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, Literal, TypeVar

Labels = tuple[str, ...]
"""Values of the labels, in the order of the family's label names."""

Named = list[tuple[str, str]]
"""Labels with their names."""
MoreLabels = Callable[[Named], Named]

Item = TypeVar("Item")

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
MOST_SERIES = 2_000
"""Per family. What would exceed it is counted under the labels `other`: clients must not be able to fill our memory."""


def no_more(named: Named) -> Named:
    """Return the labels as they are."""
    return named


class Count:
    """One number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Distribution:
    """How often values fell between fixed bounds, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Sort a value into the buckets, and add it to the sum."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Counter:
    """Numbers that only grow, one for each combination of labels."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.help = help_text
        self.labels = tuple(labels)
        self._series: Series[Count] = Series(Count)

    @property
    def values(self) -> dict[Labels, float]:
        """The numbers by their labels."""
        return {labels: count.value for labels, count in self._series.items()}

    def of(self, *labels: str) -> Count:
        """Return the number of one combination, to be kept by who counts often."""
        return self._series.of(labels)

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Add `by` to the number of one combination of labels."""
        self._series.of(labels).value += by

    def lines(self, more: MoreLabels = no_more) -> Iterator[str]:
        """Return the samples."""
        for labels, count in self._series.items():
            yield sample(self.name, more(list(zip(self.labels, labels, strict=True))), count.value)


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
        self._series: Series[Distribution] = Series(lambda: Distribution(self.bounds))

    def of(self, *labels: str) -> Distribution:
        """Return the distribution of one combination, to be kept by who counts often."""
        return self._series.of(labels)

    def observe(self, value: float, *labels: str) -> None:
        """Sort a value into the buckets, and add it to the sum."""
        self._series.of(labels).observe(value)

    def total(self, *labels: str) -> tuple[int, float]:
        """Return how many values there were, and their sum."""
        found = dict(self._series.items()).get(labels)
        return (0, 0.0) if found is None else (sum(found.counts), found.sum)

    def lines(self, more: MoreLabels = no_more) -> Iterator[str]:
        """Return the samples: cumulative buckets, sum and count."""
        for labels, distribution in self._series.items():
            named = more(list(zip(self.labels, labels, strict=True)))
            total = 0
            for bound, count in zip((*self.bounds, float("inf")), distribution.counts, strict=True):
                total += count
                yield sample(f"{self.name}_bucket", [*named, ("le", number(bound))], total)
            yield sample(f"{self.name}_sum", named, distribution.sum)
            yield sample(f"{self.name}_count", named, total)


class Series(Generic[Item]):
    """One thing for each combination of labels, but not for more than `MOST_SERIES`."""

    def __init__(self, make: Callable[[], Item]) -> None:
        self._make = make
        self._items: dict[Labels, Item] = {}
        self.items = self._items.items

    def of(self, labels: Labels) -> Item:
        """Return the one of a combination, a new one if need be."""
        found = self._items.get(labels)
        if found is None:
            if len(self._items) >= MOST_SERIES:
                labels = ("other",) * len(labels)
            found = self._items.setdefault(labels, self._make())
        return found


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

    def lines(self, more: MoreLabels = no_more) -> Iterator[str]:
        """Return the samples."""
        for labels, value in self.values:
            yield sample(self.name, more(list(zip(self.labels, labels, strict=True))), value)


Family = Counter | Histogram | Gauge


def exposition(families: Iterable[Family], more: MoreLabels = no_more) -> str:
    """Return the text that Prometheus reads; `more` adds to the labels of a sample what follows from them."""
    out: list[str] = []
    for family in families:
        out += [f"# HELP {family.name} {_escaped_help(family.help)}", f"# TYPE {family.name} {family.kind}"]
        out += family.lines(more)
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


_ENDINGS = ("", "_bucket", "_sum", "_count", "_total", "_created")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(="(?:[^"\\]|\\.)*")')


def _labelled(model: str, labels: str | None) -> str:
    """Return the labels with `model` before them; one of the engine's own gets the name that Prometheus would give."""
    others = _LABEL.sub(
        lambda label: f"{'exported_model' if label[1] == 'model' else label[1]}{label[2]}", labels or ""
    )
    return f'model="{escaped(model)}"' + (f",{others}" if others else "")


def merged(ours: str, expositions: Mapping[str, str]) -> str:
    """Return our own exposition and those of several models as one, each sample of theirs under the label `model`.

    The samples of a family stand together, as the format demands, also when an engine has a family that we have (such
    as `process_cpu_seconds_total`); what is no sample is left out.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for model, text in ((None, ours), *expositions.items()):
        family = ""
        for line in text.splitlines():
            if line.startswith(("# TYPE ", "# HELP ")):
                family = line.split(" ", 3)[2]
                known = heads.setdefault(family, [])
                if not any(line[:6] == other[:6] for other in known):
                    known.append(line)
            elif (found := _SAMPLE.fullmatch(line)) is not None:
                name, labels, rest = found.groups()
                inside = (labels or "") if model is None else _labelled(model, labels)
                belongs = name.startswith(family) and name[len(family) :] in _ENDINGS
                samples.setdefault(family if belongs else name, []).append(
                    (f"{name}{{{inside}}}" if inside else name) + rest.rstrip()
                )
    lines = [line for family, found in samples.items() for line in (*heads.get(family, ()), *found)]
    return "\n".join(lines) + "\n" if lines else ""
