"""What routed experts take whose matrices are copied to a card one at a time; MiB as llama.cpp's allocator had them."""

from __future__ import annotations

from itertools import product

from claracore.core.fit.cache import borrowed_bytes
from claracore.core.fit.settings import Settings
from claracore.core.fit.staging import staged
from claracore.core.units import MIB
from fit.llama_cpp import facts


def test_a_product_goes_where_a_matrix_was_and_all_behind_it_is_free() -> None:
    assert staged(entering=288, leaving=420, inner=10, out=40) == 10 + 420 + 40
    assert staged(entering=134, leaving=134, inner=90, out=90) == 134 + 2 * 90


def test_a_product_that_does_not_fit_there_stands_behind_a_gap() -> None:
    assert staged(entering=252, leaving=367, inner=448, out=128) == 252 + 3 * 448
    assert staged(entering=72, leaving=105, inner=128, out=256) == 72 + 3 * 128 + 256
    assert staged(entering=99, leaving=187, inner=132, out=192) == 99 + 3 * 132 + 192
    assert staged(entering=10, leaving=300, inner=100, out=50) == 10 + 3 * 100 + 300


def test_never_less_than_what_is_alive() -> None:
    for entering, leaving, inner, out in product((1, 50, 200), repeat=4):
        assert staged(entering, leaving, inner, out) >= max(entering + 2 * inner, leaving + inner + out)


def test_layers_that_use_the_cache_of_another_card_get_a_copy_each() -> None:
    shape, settings = facts("gemma-3n-e4b-Q4_K_M"), Settings(32768, parallel=4, unified=True, micro_batch=2048)
    assert borrowed_bytes(shape, settings, (0,) * 35, 0) == 0
    # Of layers 27 to 34 those without a window, 29 and 34, use layer 19's, the others layer 18's.
    places = (0,) * 27 + (1,) * 8
    assert borrowed_bytes(shape, settings, places, 1) == (2 * 64 + 6 * 8) * MIB
    assert borrowed_bytes(shape, settings, places, 0) == 0
