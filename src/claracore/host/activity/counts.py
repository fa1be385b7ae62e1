"""What is counted for Prometheus since the start?

Names are stable: dashboards depend on them. Gauges of the moment (states, queues, memory) are made in
`http/api/metrics`.
"""

from __future__ import annotations

from typing import Literal

from claracore.core.scheduler.events import SecondTry, StopReason
from claracore.host.activity.measures import Count, Counter, Family, Histogram
from claracore.host.activity.record import Record
from claracore.host.activity.rows import ActivityRow

RestartReason = Literal["died", "changed"]
"""Of the server that was there before: it ended unasked, or it was stopped because its configuration changed."""

_BETWEEN_TOKENS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)


class Counts:
    """Everything that is counted."""

    def __init__(self) -> None:
        model = ("model",)
        self.last_answer: dict[str, float] = {}
        """When each model's last answer ended (event loop time)."""
        self._often: dict[tuple[str, int], _Often] = {}
        self.requests = Counter(
            "claracore_requests_total",
            "Requests that are over, by HTTP status; 0: the client left.",
            (*model, "status"),
        )
        self.refusals = Counter(
            "claracore_refused_requests_total", "Inference requests without a known model, by status.", ("status",)
        )
        self.tokens = Counter("claracore_tokens_total", "Tokens, as the model servers count them.", (*model, "kind"))
        self.by_key = CountsByKey()
        self.first_token = Histogram(
            "claracore_time_to_first_token_seconds", "From the request to the first byte of a streamed answer.", model
        )
        self.between_tokens = Histogram(
            "claracore_inter_token_seconds", "Mean time between tokens of an answer.", model, _BETWEEN_TOKENS
        )
        self.duration = Histogram("claracore_request_duration_seconds", "From the request to its end.", model)
        self.waiting = Histogram("claracore_queue_seconds", "Waiting for the model, without its loading.", model)
        self.loads = Counter("claracore_loads_total", "Times a model became ready.", model)
        self.swaps = Counter("claracore_swaps_total", "Loads for which another model had to go.", model)
        self.load_seconds = Histogram("claracore_load_seconds", "From the start of a model's server to ready.", model)
        self.stops = Counter("claracore_stops_total", "Stops of model servers, by reason.", (*model, "reason"))
        self.evictions = Counter(
            "claracore_evictions_total",
            "Models that had to go for another, by the devices that were short; rule: groups or a matrix decided.",
            (*model, "reason"),
        )
        self.restarts = Counter(
            "claracore_restarts_total",
            "Starts of model servers again: the last one died unasked, or its configuration changed.",
            (*model, "reason"),
        )
        self.failures = Counter("claracore_failures_total", "Model servers that ended unasked.", (*model, "while"))
        self.second_tries = Counter(
            "claracore_second_starts_total",
            "Starts of model servers once more that ran out of memory: cleared (others went), waited, lessened.",
            (*model, "how"),
        )
        self.families: tuple[Family, ...] = (
            self.requests, self.refusals, self.tokens, *self.by_key.families, self.first_token,
            self.between_tokens, self.duration, self.waiting, self.loads, self.swaps, self.load_seconds, self.stops,
            self.evictions, self.restarts, self.failures, self.second_tries,
        )  # fmt: skip

    def refused(self, record: Record) -> None:
        """Count a request whose model was never known."""
        self.refusals.add(str(record.status))

    def request(self, row: ActivityRow, ended_at: float) -> None:
        """Count a request that is over; `ended_at` is of the event loop's clock."""
        often = self._often.get((row.model, row.status))
        if often is None:
            often = self._often[row.model, row.status] = _Often(self, row.model, row.status)
        self.last_answer[row.model] = ended_at
        often.requests.value += 1
        often.duration.observe(row.total_seconds)
        if row.queue_seconds is not None:
            often.waiting.observe(row.queue_seconds)
        if row.first_token_seconds is not None:
            often.first_token.observe(row.first_token_seconds)
        if row.prompt_tokens:
            often.prompt.value += row.prompt_tokens
        if row.completion_tokens:
            often.completion.value += row.completion_tokens
        if row.cached_tokens:
            often.cached.value += row.cached_tokens
        if row.key is not None:
            self.by_key.request(row, row.key)
        if row.tokens_per_second:
            often.between_tokens.observe(1 / row.tokens_per_second)

    def loaded(self, model: str, seconds: float, swapped: bool) -> None:  # noqa: FBT001 - a fact, not a switch
        """Count a load that succeeded."""
        self.loads.add(model)
        self.load_seconds.observe(seconds, model)
        if swapped:
            self.swaps.add(model)

    def stopped(self, model: str, reason: StopReason) -> None:
        """Count an ordered stop."""
        self.stops.add(model, reason.name.lower())

    def evicted(self, model: str, short_of: str) -> None:
        """Count that a model had to go for another."""
        self.evictions.add(model, short_of)

    def restarted(self, model: str, reason: RestartReason) -> None:
        """Count a start after an end that the model's users did not ask for."""
        self.restarts.add(model, reason)

    def tried_again(self, model: str, how: SecondTry) -> None:
        """Count a start once more after one that ran out of memory."""
        self.second_tries.add(model, how.name.lower())

    def failed(self, model: str, *, while_loading: bool) -> None:
        """Count an end that nobody ordered."""
        self.failures.add(model, "loading" if while_loading else "serving")


class _Often:
    """What every answer of a model with some status adds to: looked up by its labels once."""

    __slots__ = ("between_tokens", "cached", "completion", "duration", "first_token", "prompt", "requests", "waiting")

    def __init__(self, counts: Counts, model: str, status: int) -> None:
        self.requests = counts.requests.of(model, str(status))
        self.duration = counts.duration.of(model)
        self.waiting = counts.waiting.of(model)
        self.first_token = counts.first_token.of(model)
        self.between_tokens = counts.between_tokens.of(model)
        self.prompt = counts.tokens.of(model, "prompt")
        self.cached = counts.tokens.of(model, "cached")
        self.completion = counts.tokens.of(model, "completion")


class CountsByKey:
    """What is counted of requests whose client presented a key."""

    def __init__(self) -> None:
        self.requests = Counter(
            "claracore_key_requests_total", "Requests to models that are over, by the client's key.", ("key", "status")
        )
        self.tokens = Counter("claracore_key_tokens_total", "Tokens of requests, by the client's key.", ("key", "kind"))
        self.families: tuple[Family, ...] = (self.requests, self.tokens)
        self._often: dict[tuple[str, int], tuple[Count, Count, Count]] = {}

    def request(self, row: ActivityRow, key: str) -> None:
        """Count a request that is over."""
        often = self._often.get((key, row.status))
        if often is None:
            tokens = self.tokens
            often = self.requests.of(key, str(row.status)), tokens.of(key, "prompt"), tokens.of(key, "completion")
            self._often[key, row.status] = often
        requests, prompt, completion = often
        requests.value += 1
        prompt.value += row.prompt_tokens or 0
        completion.value += row.completion_tokens or 0
