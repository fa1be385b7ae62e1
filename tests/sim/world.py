"""A world in virtual time around the scheduler: loads that are slow or fail, crashes, clients that leave.

Everything random comes from one seed. `World.step()` lets the next thing happen and then checks the invariants.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable
from itertools import count

from claracore.core.config.matrix import Either, Expression, One, Together
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT, Footprint, FootprintSource
from claracore.core.scheduler.core import Scheduler
from claracore.core.scheduler.events import (
    Arrived,
    Died,
    Ended,
    Event,
    FilesChanged,
    Finished,
    KeepAsked,
    LookAhead,
    LookedAhead,
    Lost,
    Measure,
    Order,
    Pinned,
    RanOut,
    Ready,
    Reconfigured,
    Refuse,
    RefuseReason,
    Returned,
    SecondTry,
    Serve,
    ShutdownAsked,
    Sleep,
    Start,
    Stop,
    StopReason,
    TellMissing,
    TimePassed,
    TryAgain,
    UnloadAsked,
    Wake,
)
from claracore.core.scheduler.eviction import Group, Groups
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.policy import EvictionRule, ModelPolicy, Policy, Situation
from claracore.core.scheduler.slot import Nap
from claracore.errors import ClaraCoreError
from claracore.host.supervisor.refusals import circumstances, refusal
from claracore.host.supervisor.waiting import WaitingRequest
from claracore.types import Endpoint, ModelState

MODELS = [f"m{number}" for number in range(6)]
LONGEST_ANSWER = 8.0
LONGEST_LOAD = 6.0
LONGEST_STOP = 2.0
LONGEST_LOOK = 3.0
GRACE = 5.0


def random_policy(dice: random.Random) -> Policy:
    names = ["g0", "g1", "g2"]
    groups = {
        name: Group(swap=dice.random() < 0.6, exclusive=dice.random() < 0.6, persistent=dice.random() < 0.2)
        for name in names
    }
    models = dice.sample(MODELS, dice.randint(2, len(MODELS)))
    rule = (
        random_matrix(dice) if dice.random() < 0.5 else Groups(groups, {model: dice.choice(names) for model in models})
    )
    return policy_with(rule, models, dice)


def policy_with(rule: EvictionRule, models: Iterable[str], dice: random.Random) -> Policy:
    return Policy(
        rule,
        {
            model: ModelPolicy(
                ttl_seconds=dice.choice([0.0, 0.0, 5.0, 30.0]),
                concurrency=dice.choice([0, 0, 1, 3]),
                priority=dice.choice([0, 0, 5]),
                queue_limit=dice.choice([2, 50]),
                queue_timeout_seconds=dice.choice([0.0, 20.0, 300.0]),
                drain_seconds=dice.choice([0.0, 3.0]),
                reload=dice.random() < 0.2,
                foreseeable=dice.random() < 0.5,
            )
            for model in models
        },
        patience_seconds=dice.choice([0.0, 2.0, 5.0]),
        aging_seconds=20.0,
    )


def random_matrix(dice: random.Random) -> Matrix:
    def either() -> Expression:
        return Either(tuple(map(One, dice.sample(MODELS, dice.randint(1, 3)))))

    def pair() -> Expression:
        return Together(tuple(map(One, dice.sample(MODELS, 2))))

    sets = (
        tuple(pair() for _ in range(dice.randint(3, 8)))  # three of which each two get along, and all three do not
        if dice.random() < 0.5
        else tuple(Together(tuple(either() for _ in range(dice.randint(1, 3)))) for _ in range(dice.randint(1, 3)))
    )
    return Matrix(sets, {model: dice.randint(1, 3) for model in MODELS})


class Unheard:
    """A waiter that nobody asks."""

    def serve(self, endpoint: Endpoint) -> None:
        raise AssertionError(endpoint)

    def refuse(self, error: ClaraCoreError) -> None:
        raise AssertionError(error)


class World:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.policy = self.new_policy()
        self.scheduler = Scheduler(self.policy)
        self.now = 0.0
        self.steps = 0
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.ticket = count(1)
        self.running: dict[str, str] = {}  # model -> "starting" | "ready" | "asleep" | "stopping"
        self.generation: dict[str, int] = {}
        self.waiting: dict[int, tuple[str, float]] = {}
        self.serving: dict[int, str] = {}
        self.answered = self.refused = 0
        self.longest_wait = 0.0
        self.quiet = False
        self.transcript: list[str] = []
        self.pinned: set[str] = set()
        self.kept: dict[str, float] = {}  # for how long somebody said that a running model is to stay
        self.idle_since: dict[str, float] = {}
        self.unloaded_at: dict[str, float] = {}
        self.drain: dict[str, float] = {}
        self.lost_until: dict[str, float] = {}  # until when the answers of a model without a listener may take
        self.failures: dict[str, tuple[int, float]] = {}  # failed starts in a row, and until when nobody tries again
        self.loading_since: dict[str, float] = {}
        self.excused: dict[int, float] = {}  # how long its model was being loaded while a request waited
        self.ending_at: float | None = None
        self.tries: dict[str, set[SecondTry]] = {}  # second tries since a model ran out of memory
        self.failures_before: tuple[int, float] | None = None
        self.ran_out: RanOut | None = None
        self.second_tries = 0
        self.looking: dict[str, tuple[int, float]] = {}  # which look is under way, since when
        self.seen_at: dict[str, float] = {}  # when the start of a model was seen to be possible
        self.may_come_back: set[str] = set()  # those that had to go for another model, or whose command changed
        self.later(0.0, self.client)
        self.later(self.dice.uniform(5, 20), self.mishap)

    def new_policy(self) -> Policy:
        return random_policy(self.dice)

    def must_go(self, target: str, running: Iterable[str], awake: Iterable[str] = ()) -> frozenset[str]:
        """Return who must go, by the rule, if the target is to start beside those that run, `awake` ones awake."""
        del awake
        found = self.policy.rule.evictees(Situation(target, frozenset(running)))
        return found | self.makes_way(target, running)

    def makes_way(self, target: str, running: Iterable[str]) -> frozenset[str]:
        """Return who goes beyond the rule, because the target ran out of memory: who is idle and need not stay."""
        if SecondTry.CLEARED not in self.tries.get(target, set()):
            return frozenset()
        return frozenset(model for model in running if model != target and self.is_free(model))

    def is_free(self, model: str) -> bool:
        if self.running.get(model) == "stopping":
            return True  # even if it was to stay: a person has it stopped, or it has died
        return self.running.get(model) in {"ready", "asleep"} and model not in {
            *self.serving.values(),
            *self.stays_for_ever(),
        }

    def can_be_stopped(self, model: str) -> bool:
        return self.running.get(model) in {"starting", "ready", "asleep"}

    def wakes(self, model: str) -> bool:
        """Whether a model that is starting slept before."""
        del model
        return False

    def stays_for_ever(self) -> set[str]:
        rule = self.policy.rule
        persistent = (
            {model for model, name in rule.member_of.items() if rule.groups[name].persistent}
            if isinstance(rule, Groups)
            else set()
        )
        return self.pinned | persistent

    # --- time -----------------------------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + seconds, next(self.ticket), act))

    def step(self) -> bool:
        deadline = self.scheduler.next_deadline()
        if self.agenda and (deadline is None or self.agenda[0][0] <= deadline):
            self.now, _, act = heapq.heappop(self.agenda)
            act()
        elif deadline is not None:
            assert deadline >= self.now or self.steps == 0, "a deadline in the past would spin"
            self.now = max(self.now, deadline)
            self.tell(TimePassed())
            after = self.scheduler.next_deadline()
            assert after is None or after > self.now, "a deadline that stays would spin"
        else:
            return False
        self.steps += 1
        self.check()
        return True

    def tell(self, event: Event) -> None:
        orders = self.scheduler.handle(event, self.now)
        self.transcript.append(f"{self.now!r} {event} -> {orders}")  # as the loop records it
        self.tell_all(orders)

    def tell_all(self, orders: list[Order]) -> None:
        for order in orders:
            self.perform(order)

    # --- what the scheduler orders --------------------------------------------------------------------------------

    def perform(self, order: Order) -> None:
        match order:
            case Start(model):
                self.start(model)
            case Stop(model, reason):
                self.stop(model, reason)
            case Serve(request):
                model, since = self.waiting.pop(request)
                assert self.running[model] == "ready", "only a ready model serves"
                earlier = [other for other, (its, _) in self.waiting.items() if its == model and other < request]
                assert not earlier, f"{request} is served before {earlier}"
                assert self.scheduler.slots[model].leaving is None, f"{model} is leaving and takes a new request"
                limit = self.policy.models[model].concurrency
                assert not limit or list(self.serving.values()).count(model) < limit, f"{model} is over its limit"
                self.serving[request] = model
                self.longest_wait = max(self.longest_wait, self.now - since)
                self.later(self.dice.uniform(0, LONGEST_ANSWER), lambda: self.finish(request))
            case Refuse(request, reason):
                model, since = self.waiting.pop(request)
                self.refused += 1
                self.put_in_words(request, reason, model, since)
                self.check_refusal(request, reason, model, since)
            case TryAgain(model, how):
                self.try_again(model, how)
            case LookAhead(model):
                self.look_before(model)
            case Measure() | TellMissing() | Sleep() | Wake():
                raise AssertionError("no rule counts bytes")

    def put_in_words(self, request: int, reason: RefuseReason, model: str, since: float) -> None:
        """Whatever a request is refused for, its client is told, by the words of the real loop."""
        waiting = WaitingRequest(Unheard(), model, since)
        about = circumstances(self.scheduler, self.policy.models, waiting, self.now, None, None)
        assert refusal(reason, about).message, f"{request} is refused without a word"

    def look_before(self, model: str) -> None:
        assert model not in self.looking, "it is looked once at a time"
        assert any(its == model for its, _ in self.waiting.values()), f"{model} is looked at, and nobody wants it"
        assert model not in self.running or self.running[model] == "stopping"
        number = next(self.ticket)
        self.looking[model] = (number, self.now)
        quick = self.dice.random() < 0.7
        fails = self.dice.random() < 0.2
        self.later(
            0.001 if quick else self.dice.uniform(0, LONGEST_LOOK), lambda: self.looked(model, number, fails=fails)
        )

    def looked(self, model: str, number: int, *, fails: bool) -> None:
        if self.looking.get(model, (0, 0.0))[0] != number:
            return
        self.looked_no_more(model)
        if fails:
            self.seen_at.pop(model, None)
            times = self.failures.get(model, (0, 0.0))[0] + 1
            self.failures[model] = (times, self.now + min(5.0 * 2 ** (times - 1), 60.0))
            self.tries.pop(model, None)
        else:
            self.seen_at[model] = self.now
        self.tell(LookedAhead(model, fails))

    def looked_no_more(self, model: str) -> None:
        self.seen_at.pop(model, None)
        if (looking := self.looking.pop(model, None)) is not None:
            for request, (its, since) in self.waiting.items():
                if its == model:
                    self.excused[request] = self.excused.get(request, 0.0) + self.now - max(since, looking[1])

    def start(self, model: str) -> None:
        self.looked_no_more(model)
        assert model not in self.running, "a process may only be started when the one before is gone"
        assert model in self.policy.models, "a removed model is never started"
        asked = any(waiting == model for waiting, _ in self.waiting.values())
        assert asked or model in self.may_come_back, f"{model} is started, and nobody wants it"
        self.may_come_back.discard(model)
        self.check_place(model)
        assert self.now >= self.failures.get(model, (0, 0.0))[1], f"{model} is started again too soon"
        self.running[model] = "starting"
        self.loading_since[model] = self.now
        generation = self.generation[model] = self.generation.get(model, 0) + 1
        outcome = self.dice.choices([self.loaded, self.gone, self.short], [80, 10, 10])[0]
        self.later(self.dice.uniform(0, LONGEST_LOAD), lambda: outcome(model, generation))

    def check_place(self, model: str) -> None:
        evictees = self.must_go(model, self.running)
        assert not evictees, f"{model} started beside {sorted(evictees)}"
        assert not self.in_the_way_of(model), f"{model} started and must be stopped for {self.in_the_way_of(model)}"

    def in_the_way_of(self, model: str) -> list[str]:
        """Return who is ahead, insists on its turn, and would have to have more stopped if this one ran, too.

        Each of those ahead has its turn in thought, one after another: once without this model and once beside it.
        """
        turns, had_turn = [slot.model for slot in self.scheduler.in_turn(self.now)], {model}
        without, beside, hindered = frozenset(self.running), frozenset({*self.running, model}), []
        for other in turns[: turns.index(model)] if model in turns else []:
            if self.running.get(other, "stopping") not in {"stopping", "asleep"} or not self.insists(other):
                continue
            must_go = self.must_go(other, without - {other}, had_turn)
            more = self.must_go(other, beside - {other}, had_turn)
            had_turn.add(other)
            hindered += [other] if more - must_go else []
            without, beside = (without - must_go) | {other}, (beside - more) | {other}
        return hindered

    def insists(self, model: str) -> bool:
        """Whether the oldest request that waits for it has had the patience that it must have."""
        if model in self.looking and self.now >= self.looking[model][1] + 1.0:
            return False  # something large is fetched for it
        return any(
            self.now >= since + self.policy.patience_seconds for its, since in self.waiting.values() if its == model
        )

    def stop(self, model: str, reason: StopReason) -> None:
        assert self.can_be_stopped(model), "a stop is ordered once"
        asked = {StopReason.UNLOADED, StopReason.SHUTDOWN, StopReason.CHANGED, StopReason.REMOVED, StopReason.LOST}
        assert model not in self.pinned or reason in asked, f"{model} is pinned and stopped: {reason}"
        if reason is StopReason.TTL:
            idle = self.now - self.idle_since.get(model, 0.0)
            ttl = self.kept.get(model, self.policy.models[model].ttl_seconds or math.inf)
            assert idle >= ttl - 1e-6, f"{model} was idle for {idle} s only"
        if reason is StopReason.UNLOADED and model in self.serving.values():
            assert self.now - self.unloaded_at[model] >= self.drain[model] - 1e-6, f"{model} had time to drain"
        if reason is StopReason.LOST and model in self.serving.values():
            assert self.now >= self.lost_until[model] - 1e-6, f"{model} had time to drain"
        if reason not in {StopReason.UNLOADED, StopReason.SHUTDOWN, StopReason.LOST}:
            assert model not in self.serving.values(), f"an answer of {model} would be cut: {reason}"
        if reason in {StopReason.EVICTED, StopReason.UNWANTED}:
            self.check_seen_before()
        if reason in {StopReason.CHANGED, StopReason.EVICTED, StopReason.UNWANTED}:
            self.may_come_back.add(model)
        self.loaded_no_more(model)
        self.running[model] = "stopping"
        for request in [request for request, its in self.serving.items() if its == model]:
            self.later(0.0, lambda request=request: self.finish(request))  # type: ignore[misc]
        self.end(model, self.generation[model])

    def check_seen_before(self) -> None:
        """Who goes, goes for a model that somebody waits for and whose start was seen to be possible."""
        wanted = {its for its, _ in self.waiting.values()} & set(self.policy.models)
        asleep = {model for model in wanted if self.running.get(model) == "asleep"}
        foreseeable = {model for model in wanted if self.policy.models[model].foreseeable} - asleep
        assert wanted - foreseeable or any(self.now < self.seen_at.get(model, -99.0) + 5.0 for model in foreseeable)

    def end(self, model: str, generation: int) -> None:
        """Let a server end that was told to."""
        self.later(self.dice.uniform(0, LONGEST_STOP), lambda: self.gone(model, generation))

    def try_again(self, model: str, how: SecondTry) -> None:
        """It is allowed: memory was short, somebody waits, it was not tried in this way before, and it may help."""
        self.second_tries += 1
        tries = self.tries.setdefault(model, set())
        assert self.ran_out is not None
        assert self.ran_out.model == model, f"{model} did not run out of memory"
        assert any(its == model for its, _ in self.waiting.values()), f"{model} is tried again, and nobody wants it"
        assert how not in tries, f"{model} is tried again in the same way: {how}"
        if how is SecondTry.LESSENED:
            assert self.ran_out.less.source is not FootprintSource.UNKNOWN
        else:
            assert not tries, "others go once"
            self.check_others_help(model, how)
        tries.add(how)
        if self.failures_before is None:
            del self.failures[model]
        else:
            self.failures[model] = self.failures_before

    def check_others_help(self, model: str, how: SecondTry) -> None:
        free = any(self.is_free(other) for other in self.running if other != model)
        assert free is (how is SecondTry.CLEARED), f"{model} is tried again: {how}"

    # --- what happens ---------------------------------------------------------------------------------------------

    def short(self, model: str, generation: int) -> None:
        """A model runs out of memory while it loads."""
        if self.generation[model] == generation and self.running.get(model) == "starting":
            less = Footprint({}, FootprintSource.ESTIMATED) if self.dice.random() < 0.5 else UNKNOWN_FOOTPRINT
            self.ran_out = RanOut(model, UNKNOWN_FOOTPRINT, less)
            self.tell(self.ran_out)
        self.gone(model, generation)
        self.ran_out = None

    def loaded(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and self.running.get(model) == "starting":
            self.loaded_no_more(model)
            self.failures.pop(model, None)
            self.tries.pop(model, None)
            self.running[model] = "ready"
            self.idle_since[model] = self.now
            self.tell(Ready(model))

    def gone(self, model: str, generation: int) -> None:
        if self.generation[model] == generation and model in self.running:
            self.loaded_no_more(model)
            if self.running.pop(model) == "starting" and not self.wakes(model):
                self.failures_before = self.failures.get(model)
                times = self.failures.get(model, (0, 0.0))[0] + 1
                self.failures[model] = (times, self.now + min(5.0 * 2 ** (times - 1), 60.0))
            for request in [request for request, its in self.serving.items() if its == model]:
                # One that had not been sent yet finds nobody there.
                ends = self.take_back if self.dice.random() < 0.3 else self.finish
                self.later(0.0, lambda request=request, ends=ends: ends(request))  # type: ignore[misc]
            before = self.second_tries
            self.kept.pop(model, None)
            self.tell(Ended(model))
            if self.second_tries == before:
                self.tries.pop(model, None)

    def die(self, model: str) -> None:
        """A server ends by itself; if it was ready, what it had started may take a while to go."""
        generation = self.generation[model]
        if self.running[model] not in {"ready", "asleep"} or self.dice.random() < 0.3:
            self.gone(model, generation)
            return
        self.running[model] = "stopping"
        self.tell(Died(model))
        for request in [request for request, its in self.serving.items() if its == model]:
            ends = self.take_back if self.dice.random() < 0.5 else self.finish
            self.later(0.0, lambda request=request, ends=ends: ends(request))  # type: ignore[misc]
        self.later(self.dice.uniform(0, LONGEST_STOP), lambda: self.gone(model, generation))

    def loaded_no_more(self, model: str) -> None:
        """Write down how long those who wait for it have waited for its load, if it is loading."""
        if self.running[model] == "starting":
            for request, (its, since) in self.waiting.items():
                if its == model:
                    loading = self.now - max(since, self.loading_since[model])
                    self.excused[request] = self.excused.get(request, 0.0) + loading

    def finish(self, request: int) -> None:
        model = self.serving.pop(request, None)
        if model is not None:
            self.answered += 1
            self.idle_since[model] = self.now
            self.tell(Finished(request))

    def take_back(self, request: int) -> None:
        model = self.serving.pop(request, None)
        if model is not None:
            later = [since for other, (its, since) in self.waiting.items() if its == model and other > request]
            self.waiting[request] = (model, min([self.now, *later]))
            self.excused.pop(request, None)
            self.idle_since[model] = self.now
            self.tell(Returned(request, model))

    def lose_listener(self) -> None:
        """A model that is ready does not listen any more; some of its requests had not been sent yet."""
        ready = sorted(model for model, state in self.running.items() if state in {"ready", "asleep"})
        if ready:
            model = self.dice.choice(ready)
            if self.scheduler.slots[model].leaving is None:
                self.lost_until[model] = self.now + self.scheduler.slots[model].policy.drain_seconds
            self.tell(Lost(model))
            for request in [request for request, its in self.serving.items() if its == model]:
                if self.dice.random() < 0.5:
                    self.take_back(request)

    def client(self) -> None:
        request, model = next(self.ticket), self.dice.choice(MODELS)
        self.waiting[request] = (model, self.now)
        ahead = [its for its, _ in self.waiting.values()].count(model) - 1
        by_hand = self.dice.random() < 0.05
        if by_hand and model in self.failures:
            self.failures[model] = (self.failures[model][0], self.now)
        self.tell(Arrived(request, model, by_hand))
        assert request not in self.waiting or ahead < self.policy.models[model].queue_limit, f"{model}: queue too long"
        if self.dice.random() < 0.1:
            self.later(self.dice.expovariate(0.3), lambda: self.leave(request))
        if not self.quiet:
            self.later(self.dice.expovariate(self.dice.choice([0.3, 3.0])), self.client)

    def leave(self, request: int) -> None:
        if self.waiting.pop(request, None) is not None:
            self.tell(Finished(request))
        else:
            self.finish(request)

    def mishap(self) -> None:
        kind = self.dice.choice(
            ["crash", "crash", "lost", "file", "pin", "unpin", "keep", "unload", "unload all", "reconfigure", "touch"]
        )
        if kind == "crash" and self.running:
            self.die(self.dice.choice(sorted(self.running)))
        elif kind == "lost":
            self.lose_listener()
        elif kind == "file":
            model = self.dice.choice(MODELS)
            self.failures.pop(model, None)
            self.tell(FilesChanged(model))
        elif kind in {"pin", "unpin"}:
            model = self.dice.choice(MODELS)
            if model in self.scheduler.slots:
                (self.pinned.add if kind == "pin" else self.pinned.discard)(model)
            self.tell(Pinned(model, kind == "pin"))
        elif kind == "keep":
            self.keep(self.dice.choice(MODELS), self.dice.choice([0.0, 0.0, 2.0, math.inf]))
        elif kind == "unload":
            self.unload(self.dice.choice(MODELS))
        elif kind == "unload all":
            self.unload(*MODELS)
        elif kind in {"reconfigure", "touch"}:
            self.reconfigure(anew=kind == "reconfigure")
        if not self.quiet:
            self.later(self.dice.uniform(3, 25), self.mishap)

    def reconfigure(self, *, anew: bool) -> None:
        if anew:
            self.policy = self.new_policy()
        self.failures.clear()
        self.tries.clear()
        for model in MODELS:
            self.looked_no_more(model)
        changed = frozenset(model for model in self.policy.models if anew and self.dice.random() < 0.3)
        self.may_come_back |= {model for model in changed if self.can_be_stopped(model)}
        self.tell(Reconfigured(self.policy, changed))

    def keep(self, model: str, seconds: float) -> None:
        if self.can_be_stopped(model):
            self.kept[model] = seconds
        self.tell(KeepAsked(model, seconds))

    def unload(self, *models: str) -> None:
        for model in models:
            self.tries.pop(model, None)
            self.looked_no_more(model)
            self.unloaded_at[model] = self.now
            if self.can_be_stopped(model):
                self.drain[model] = self.scheduler.slots[model].policy.drain_seconds
        self.tell(UnloadAsked(models))

    def shut_down(self) -> None:
        self.ending_at = self.now + GRACE
        self.tell(ShutdownAsked(GRACE))

    def check_refusal(self, request: int, reason: RefuseReason, model: str, since: float) -> None:
        """Whether the world's own books justify it."""
        policy = self.policy.models.get(model)
        match reason:
            case RefuseReason.REMOVED:
                assert policy is None
            case RefuseReason.SHUTDOWN:
                assert self.ending_at is not None
            case RefuseReason.QUEUE_FULL:
                assert policy is not None
                assert [its for its, _ in self.waiting.values()].count(model) >= policy.queue_limit
            case RefuseReason.TIMED_OUT:
                assert policy is not None
                assert policy.queue_timeout_seconds
                assert self.running.get(model) != "starting", "what it waits for is no turn"
                waited = self.now - since - self.excused.get(request, 0.0)
                assert waited >= policy.queue_timeout_seconds - 1e-6
            case RefuseReason.PINNED:
                evictees = self.must_go(model, self.running)
                assert evictees & self.pinned
            case RefuseReason.FAILED:
                assert self.running.get(model) in {None, "stopping"}
                self.check_no_second_try(model)
                assert self.now < self.failures[model][1], "it could be tried again"
            case RefuseReason.UNLOADED:
                assert self.unloaded_at[model] == self.now
            case RefuseReason.NO_ROOM:
                raise AssertionError("no rule counts bytes")

    def check_no_second_try(self, model: str) -> None:
        """A failure for want of memory is told only after what may help was tried."""
        if self.ran_out is not None and self.ran_out.model == model:
            tries = self.tries.get(model, set())
            lesser = self.ran_out.less.source is not FootprintSource.UNKNOWN
            assert not lesser or SecondTry.LESSENED in tries, f"{model} was not tried with less"
            assert tries or not self.others_may_help(model), f"{model} was not tried with others gone"

    def others_may_help(self, model: str) -> bool:
        return any(self.is_free(other) for other in self.running if other != model)

    # --- what must always hold ------------------------------------------------------------------------------------

    def check(self) -> None:
        slots = self.scheduler.slots
        self.pinned &= set(slots)
        if self.ending_at is not None:
            assert "starting" not in self.running.values(), "nothing is started at the end"
            if self.now > self.ending_at:
                assert not {"ready", "asleep"} & set(self.running.values()), "the grace is over"
        self.check_the_first_in_turn()
        for model, slot in slots.items():
            seen = self.running.get(model, "stopped")
            thought = "asleep" if slot.nap is Nap.ASLEEP else slot.state
            assert thought == seen, f"{model}: the scheduler thinks {thought}, it is {seen}"
            assert seen != "asleep" or not slot.serving, f"{model} sleeps and is to answer"
            assert not slot.serving or slot.state in {ModelState.READY, ModelState.STOPPING}
            idle_and_ready = slot.is_up and not slot.serving and slot.leaving is None
            in_the_way = any(
                other.waiting and model in self.must_go(name, self.running) for name, other in slots.items()
            )
            assert not (idle_and_ready and slot.waiting and not in_the_way), f"{model} is idle while requests wait"
        assert {request for slot in slots.values() for request in slot.waiting} == set(self.waiting)
        assert {request for slot in slots.values() for request in slot.serving} <= set(self.serving)

    def check_the_first_in_turn(self) -> None:
        """Whoever is first in turn and could have its place without disturbing anybody is getting it."""
        assert self.scheduler.queued == len(self.waiting)
        first = next((slot for slot in self.scheduler.in_turn(self.now) if slot.waiting), None)
        if first is None or not first.is_down:
            return
        if first.model in self.looking:
            assert first.policy.foreseeable
            return
        evictees = self.must_go(first.model, self.running)
        slots = [self.scheduler.slots[model] for model in evictees]
        assert evictees, f"{first.model} could start and does not"
        going = any(slot.state is ModelState.STOPPING for slot in slots)
        assert going or not all(slot.can_go for slot in slots), f"{first.model} waits for {evictees}, which could go"

    def settle_down(self) -> None:
        """Let no new client come, and let everything that is under way come to its end."""
        self.quiet = True
        for _ in range(20_000):
            if not self.waiting and not self.serving:
                return
            assert self.step(), f"requests {sorted(self.waiting)} wait and nothing will ever happen"
        raise AssertionError("requests still wait after 20,000 steps without new clients")
