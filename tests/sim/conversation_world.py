"""The world with servers that bring conversations back before they are ready, and save them before they end.

Both take as long as they like, and fail: a server dies of a restore and is started once more without, dies while it
saves, is told to end while it restores.
"""

from __future__ import annotations

from claracore.core.scheduler.events import Order, Serve, StopReason
from sim.world import LONGEST_LOAD, World

LONGEST_RESTORE = 12.0
LONGEST_SAVE = 20.0
STATES = {
    "loading": "starting",
    "restoring": "starting",
    "ready": "ready",
    "saving": "stopping",
    "ending": "stopping",
}
"""What the operating system sees of a server, by what it is at."""


class ConversationWorld(World):
    def __init__(self, seed: int) -> None:
        self.phase: dict[str, str] = {}
        self.conversations: set[str] = set()  # models of which some are kept
        self.saved = self.restored = self.died_restoring = self.died_saving = 0
        super().__init__(seed)

    def start(self, model: str) -> None:
        assert model not in self.phase, f"{model} is started while it is {self.phase[model]}"
        super().start(model)
        self.phase[model] = "loading"

    def is_at(self, model: str, generation: int, phase: str) -> bool:
        return self.generation[model] == generation and self.phase.get(model) == phase

    def loaded(self, model: str, generation: int) -> None:
        if not self.is_at(model, generation, "loading"):
            return
        if model in self.conversations:
            self.phase[model] = "restoring"
            outcome = self.dice.choices([self.back, self.dies_restoring, self.gone], [70, 20, 10])[0]
            self.later(self.dice.uniform(0, LONGEST_RESTORE), lambda: outcome(model, generation))
        else:
            self.phase[model] = "ready"
            super().loaded(model, generation)

    def back(self, model: str, generation: int) -> None:
        if self.is_at(model, generation, "restoring"):
            self.restored += 1
            self.phase[model] = "ready"
            super().loaded(model, generation)

    def dies_restoring(self, model: str, generation: int) -> None:
        """It is started once more without; nobody hears of that."""
        if self.is_at(model, generation, "restoring"):
            self.died_restoring += 1
            self.conversations.discard(model)
            self.phase[model] = "loading"
            self.later(self.dice.uniform(0, LONGEST_LOAD), lambda: self.loaded(model, generation))

    def stop(self, model: str, reason: StopReason) -> None:
        saves = self.phase[model] == "ready" and reason is not StopReason.LOST
        self.phase[model] = "saving" if saves else "ending"
        super().stop(model, reason)

    def end(self, model: str, generation: int) -> None:
        if self.phase[model] == "saving":
            outcome = self.dice.choices([self.has_saved, self.dies_saving], [85, 15])[0]
            self.later(self.dice.uniform(0, LONGEST_SAVE), lambda: outcome(model, generation))
        else:
            super().end(model, generation)

    def has_saved(self, model: str, generation: int) -> None:
        if self.is_at(model, generation, "saving"):
            self.saved += 1
            self.conversations.add(model)
            self.phase[model] = "ending"
            super().end(model, generation)

    def dies_saving(self, model: str, generation: int) -> None:
        if self.is_at(model, generation, "saving"):
            self.died_saving += 1
            self.gone(model, generation)

    def die(self, model: str) -> None:
        if self.phase[model] == "ready":
            self.phase[model] = "ending"
        super().die(model)

    def gone(self, model: str, generation: int) -> None:
        if self.generation[model] == generation:
            self.phase.pop(model, None)
        super().gone(model, generation)

    def perform(self, order: Order) -> None:
        super().perform(order)
        if isinstance(order, Serve):
            model = self.serving[order.request]
            assert self.phase[model] == "ready", f"{order.request} goes to {model}, which is {self.phase[model]}"

    def check(self) -> None:
        super().check()
        assert {model: STATES[phase] for model, phase in self.phase.items()} == self.running
