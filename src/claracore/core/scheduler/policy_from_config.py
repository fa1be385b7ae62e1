"""Which policy follows from a configuration?"""

from __future__ import annotations

from typing import Final

from claracore.core.config.command import EMBEDDING_FLAGS, RANKING_FLAGS
from claracore.core.config.matrix import BadExpression, read_sets
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.routing import MatrixConfig
from claracore.core.memory.declared import declared_footprint
from claracore.core.memory.footprint import UNKNOWN_FOOTPRINT
from claracore.core.scheduler.by_memory import ByMemory
from claracore.core.scheduler.eviction import Group, Groups, LocalOnly
from claracore.core.scheduler.matrix import Matrix
from claracore.core.scheduler.policy import EvictionRule, ModelPolicy, Policy

HELPING: Final = EMBEDDING_FLAGS | RANKING_FLAGS


def policy_of(config: Config) -> Policy:
    """Take from a configuration what the scheduler must know of it."""
    priorities = config.priorities
    models = {model_id: _model(model, priorities.get(model_id, 0)) for model_id, model in config.models.items()}
    remote = frozenset(model_id for model_id in config.models if config.peer_of(model_id) is not None)
    if config.routing.router.use == "memory":
        return Policy(_by_memory(config, remote), models)
    rule = _rule(config)
    return Policy(LocalOnly(rule, remote) if remote else rule, models)


def _by_memory(config: Config, remote: frozenset[str]) -> ByMemory:
    persistent = {model_id for group in config.groups.values() if group.persistent for model_id in group.members}
    # What somebody else runs takes nothing that could be given back by ending it, unless the file says what it takes.
    not_ours = {model_id for model_id, model in config.models.items() if not model.cmd and not model.memory}
    helpers = {model_id for model_id, model in config.models.items() if _helps(model)}
    return ByMemory(frozenset(persistent), remote | not_ours, frozenset(helpers))


def _helps(model: ModelConfig) -> bool:
    """Tell whether a model works for others: it embeds or ranks."""
    return model.capabilities.reranker or not HELPING.isdisjoint(model.cmd.split())


def _rule(config: Config) -> EvictionRule:
    """Return the rule that `routing.router.use` names."""
    if config.routing.router.use == "matrix" and config.matrix is not None:
        return _matrix(config.matrix, config)
    groups = {name: Group(group.swap, group.exclusive, group.persistent) for name, group in config.groups.items()}
    member_of = {model_id: config.group_of(model_id) for model_id in config.models}
    for name in set(member_of.values()) - groups.keys():
        groups[name] = Group()
    return Groups(groups, member_of)


def _matrix(matrix: MatrixConfig, config: Config) -> Matrix:
    read = read_sets(matrix.sets, matrix.variables, config.models)
    costs = {matrix.variables.get(name, name): cost for name, cost in matrix.evict_costs.items()}
    return Matrix(tuple(found for found in read.values() if not isinstance(found, BadExpression)), costs)


def _model(model: ModelConfig, priority: int) -> ModelPolicy:
    return ModelPolicy(
        ttl_seconds=model.ttl_seconds,
        concurrency=model.concurrency_limit,
        priority=priority,
        queue_limit=model.queue.limit,
        queue_timeout_seconds=model.queue.timeout_seconds,
        drain_seconds=model.unload_timeout_seconds,
        reload=model.reload,
        sleeps=bool(model.cmd.strip() and model.sleep.enter.strip() and model.sleep.wake.strip()),
        foreseeable=bool(model.cmd.strip()),
        asleep=declared_footprint(model.sleep.memory) or UNKNOWN_FOOTPRINT,
    )
