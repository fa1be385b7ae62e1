from __future__ import annotations

from claracore.core.config.load import load
from claracore.core.config.peers import with_peers
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.policy import Situation
from claracore.core.scheduler.policy_from_config import policy_of

TEXT = """
globalTTL: 60
models:
  a: {cmd: x --port ${PORT}, ttl: 5, concurrencyLimit: 2, queue: {limit: 3, timeout: 4}, unloadTimeout: 7}
  b: {cmd: x --port ${PORT}}
  c: {cmd: x --port ${PORT}}
groups:
  always: {members: [c], swap: false, exclusive: false, persistent: true}
routing: {scheduler: {use: fifo, settings: {fifo: {priority: {b: 9}}}}}
"""


def test_what_the_configuration_says_is_what_the_scheduler_knows() -> None:
    config = load(TEXT, env={}).config
    assert config is not None
    policy = policy_of(config)
    a = policy.models["a"]
    assert (a.ttl_seconds, a.concurrency, a.queue_limit, a.queue_timeout_seconds, a.drain_seconds) == (5, 2, 3, 4, 7)
    assert policy.models["b"].ttl_seconds == 60
    assert [policy.models[name].priority for name in "abc"] == [0, 9, 0]
    assert policy.rule.evictees(Situation("a", frozenset("bc"))) == {"b"}
    assert policy.rule.evictees(Situation("c", frozenset("ab"))) == set()


MEMORY = """
models:
  a: {cmd: x --port ${PORT}, reload: true}
  b: {cmd: x --port ${PORT}}
  theirs: {proxy: "http://127.0.0.1:9000"}
  said: {proxy: "http://127.0.0.1:9001", memory: {ram: 1GiB}}
groups:
  always: {members: [b], persistent: true}
peers:
  far: {proxy: "http://192.0.2.1:8080", models: [m]}
routing: {router: {use: memory}}
"""


def test_where_memory_decides_groups_say_who_stays_and_what_is_not_ours_takes_nothing() -> None:
    config = load(MEMORY, env={}).config
    assert config is not None
    policy = policy_of(with_peers(config))
    assert policy.rule == ByMemory(persistent=frozenset({"b"}), elsewhere=frozenset({"far/m", "theirs"}))
    assert [policy.models[name].reload for name in "ab"] == [True, False]
