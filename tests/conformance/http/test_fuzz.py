"""A little noise in every run; the fuzz target goes further."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.http.corpus import ALL, post
from conformance.http.fuzz import one_input

CLIENTS = st.sampled_from([conversation.client for conversation in ALL])


def test_pipelined_requests_of_a_client_that_is_gone_are_not_begun() -> None:
    one_input(b"\x00\x01" + post(path=b"/page") + post() * 8)  # found by atheris


@settings(max_examples=150)
@given(CLIENTS, st.data())
def test_damaged_conversations(client: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(client)))
    noise = data.draw(st.binary(max_size=6))
    cut = data.draw(st.integers(0, 4))
    one_input(data.draw(st.binary(min_size=2, max_size=2)) + client[:place] + noise + client[place + cut :])
