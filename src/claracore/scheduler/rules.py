"""Which policy follows from a configuration?"""

from __future__ import annotations

from claracore.config.model import Config, ModelConfig
from claracore.scheduler.eviction import Group, Groups
from claracore.scheduler.policy import ModelPolicy, Policy


def policy_of(config: Config) -> Policy:
    """Take from a configuration what the scheduler must know of it."""
    groups = {name: Group(group.swap, group.exclusive, group.persistent) for name, group in config.groups.items()}
    member_of = {model_id: config.group_of(model_id) for model_id in config.models}
    for name in set(member_of.values()) - groups.keys():
        groups[name] = Group()
    priorities = config.priorities
    models = {model_id: _model(model, priorities.get(model_id, 0)) for model_id, model in config.models.items()}
    return Policy(Groups(groups, member_of), models)


def _model(model: ModelConfig, priority: int) -> ModelPolicy:
    return ModelPolicy(
        ttl_seconds=model.ttl_seconds,
        concurrency=model.concurrency_limit,
        priority=priority,
        queue_limit=model.queue.limit,
        queue_timeout_seconds=model.queue.timeout_seconds,
        drain_seconds=model.unload_timeout_seconds,
    )
