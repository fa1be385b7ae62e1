"""Which kind of drafting makes a model write faster, and is it worth its memory?

Tokens are guessed cheaply, and the model checks several at once. Who guesses: layers of the model's own file that
predict (`draft-mtp`), a head that was trained for the model (`draft-eagle3`, `draft-dflash`), a small model with the
same vocabulary (`draft-simple`), or what was written before (`ngram-mod`). Where it pays, and by whose figures:
docs/setup.md, "Drafting".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claracore.core.fit.flags import Flag, KnownFlags
from claracore.core.fit.value import SPEED, context_value
from claracore.core.fit.ways import Verdict, Way, dealt
from claracore.core.gguf.model import Kind

if TYPE_CHECKING:
    from claracore.core.fit.case import Case
    from claracore.core.fit.settings import Settings
    from claracore.core.gguf.model import ModelFacts

KIND_FLAG: Final = "--spec-type"
PREDICTION: Final = "draft-mtp"
REPEATING: Final = "ngram-mod"
HEADS: Final = {"eagle3": "draft-eagle3", "dflash": "draft-dflash"}
"""The kind of each head, by its architecture."""
BLOCK_KIND: Final = "draft-dflash"
BLOCK_DRAFTED: Final = 15
"""What llama.cpp's own page has; it is cut to what the head was trained for."""
RECENT: Final = "--spec-synth-len"
"""llama.cpp has this since August 2026: then prediction layers work for all architectures below, with several slots."""
PREDICTING: Final = frozenset(
    {
        "bailingmoe3", "cohere2moe", "glm4moe", "hy_v3", "mimo2", "nemotron_h_moe", "qwen35", "qwen35moe", "qwen3next",
        "step35",
    }
)  # fmt: skip
"""Architectures whose prediction layers b11434 computes; those with latent attention are slower with them."""
DRAFTED: Final = 3
"""Tokens at a time: llama-server's default, and what those who measured found best on most cards."""
LEAST_ACTIVE: Final = 4_500_000_000
"""Models with fewer parameters for each token gain little or lose."""
FASTER: Final = 1.25
"""What prediction layers bring at the least, for the models that use them."""


def drafting_kind(kind: str) -> str:
    """Return by which word an engine's flags say that it knows a kind of drafting."""
    return f"{KIND_FLAG} {kind}"


def can_predict(facts: ModelFacts, known_flags: KnownFlags) -> bool:
    """Tell whether the model's own prediction layers can be used, and are worth it."""
    return (
        facts.prediction_layers > 0
        and facts.architecture in PREDICTING
        and facts.latent_attention is None
        and facts.parameters_active >= LEAST_ACTIVE
        and known_flags.knows(drafting_kind(PREDICTION))
        and known_flags.knows(RECENT)
    )


def with_prediction(case: Case, way: Way) -> Way:
    """Return the way with the model's prediction layers in use, if all lies on GPUs and too little context is lost.

    In RAM they cost more than they bring: they compute for each token that is guessed.
    """
    companions = case.companions
    if way.verdict is not Verdict.GPU or companions.draft is not None or companions.projector is not None:
        return way
    if not can_predict(case.facts, case.known_flags):
        return way

    def predicting(context: int) -> Settings:
        settings = replace(way.settings, context=context, predicting=True, drafted=DRAFTED)
        return dealt(case, settings, way.gpus) if settings.split else settings

    before = way.settings.context
    if case.fits(predicting(before)):
        return replace(way, settings=predicting(before))
    if case.wishes.context is not None:
        return way
    context = case.longest_that(lambda context: case.left(predicting(context)), before)
    loss = context_value(before) - context_value(context) if context else math.inf
    return replace(way, settings=predicting(context)) if context and loss <= SPEED * math.log2(FASTER) else way


def own_drafting_flags(settings: Settings) -> list[Flag]:
    """Return the flags of a model that drafts for itself."""
    if settings.repeating:
        return [Flag((KIND_FLAG, REPEATING), "what was written before is tried again: fast where a text is rewritten")]
    if not settings.predicting:
        return []
    return [
        Flag((KIND_FLAG, PREDICTION), "layers of its own file predict the next tokens, which it then only checks"),
        Flag(("--spec-draft-n-max", str(settings.drafted)), "tokens that are predicted at a time"),
    ]


def head_flags(head: ModelFacts) -> list[Flag]:
    """Return the flags of a head that drafts, but for its file."""
    kind = HEADS[head.architecture]
    found = [Flag((KIND_FLAG, kind), "a head that was trained for this model, and reads what it computes")]
    if kind == BLOCK_KIND:
        found.append(Flag(("--spec-draft-n-max", str(BLOCK_DRAFTED)), "it drafts a whole block at once, or less"))
    return found


def can_repeat(facts: ModelFacts, known_flags: KnownFlags) -> bool:
    """Tell whether what was written before can draft: where a guess that is wrong can be taken back at once."""
    return (
        known_flags.knows(drafting_kind(REPEATING))
        and facts.causal
        and not any(facts.recurrent)
        and not any(facts.sliding)
    )


def head_for(target: ModelFacts, heads: Sequence[tuple[str, ModelFacts]], known_flags: KnownFlags) -> int | None:
    """Return which of these heads (path and facts) drafts for the target: the smallest that fits it; None for none."""
    fitting = [
        (facts.file_bytes, path, number)
        for number, (path, facts) in enumerate(heads)
        if _is_head_of(facts, target) and known_flags.knows(drafting_kind(HEADS[facts.architecture]))
    ]
    return min(fitting)[2] if fitting else None


def _is_head_of(head: ModelFacts, target: ModelFacts) -> bool:
    """Tell whether a head reads layers that the target has, of its width, and writes its tokens."""
    if head.kind is not Kind.DRAFT_HEAD or head.architecture not in HEADS or not head.target_layers:
        return False
    if any(target.recurrent):  # whose states would be kept once more for each drafted token
        return False
    width = head.target_width or head.embedding_length
    same_words = (head.vocab_size, head.tokenizer) == (target.vocab_size, target.tokenizer)
    return width == target.embedding_length and max(head.target_layers) <= target.layers and same_words
