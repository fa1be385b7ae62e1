"""What is remembered of how servers bind, told as the starts of one model's server."""

from __future__ import annotations

from claracore.host.sockets.binding import Binding
from claracore.host.sockets.bound import Reuse


def test_of_two_options_the_one_is_used_that_lets_fewer_strangers_in() -> None:
    binding = Binding()
    assert binding.of("m") is Reuse.NONE
    binding.learn("m", lambda: Reuse.ADDRESS | Reuse.PORT)
    assert binding.of("m") is Reuse.ADDRESS


def test_a_server_is_looked_at_once_and_again_when_its_command_may_be_another() -> None:
    binding = Binding()
    binding.learn("m", lambda: None)
    binding.learn("m", lambda: Reuse.ADDRESS)
    assert binding.of("m") is Reuse.NONE
    binding.forget()
    binding.learn("m", lambda: Reuse.ADDRESS)
    assert binding.of("m") is Reuse.ADDRESS


def test_two_failures_in_a_row_end_the_attempts_and_one_that_hung_ends_them_at_once() -> None:
    binding = Binding()
    for _ in range(2):
        binding.learn("m", lambda: Reuse.ADDRESS)
        binding.failed("m", hung=False)
        binding.joined("m")
    binding.learn("m", lambda: Reuse.ADDRESS)
    assert binding.of("m") is Reuse.ADDRESS, "the failures were not in a row"
    for model, hung, times in (("m", False, 2), ("n", True, 1)):
        for _ in range(times):
            binding.failed(model, hung=hung)
        binding.learn(model, lambda: Reuse.ADDRESS)
        assert binding.of(model) is Reuse.NONE
