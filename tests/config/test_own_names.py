"""Does a name of this machine stay its own when a machine has a model that would be called so?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from claracore.core.cluster.joined import JoinedNode
from claracore.core.config.load import load_many
from claracore.core.config.model import Config
from claracore.core.config.own_names import findings_of_names, hidden_models
from claracore.core.config.peers import bare_names, shared_names
from claracore.core.ports.listen import Listen
from claracore.host.supervisor.prepared import Prepared, prepare
from claracore.http.gateway.targets import targets_of

TEXT = """
models:
  desk/zb: {cmd: "serve --port ${PORT}"}
  small: {cmd: "serve --port ${PORT}", aliases: [desk/alias]}
selectors:
  desk/chosen: {strategy: warm, targets: [small]}
"""
DESK = JoinedNode("desk", "http://127.0.0.2:5800", "key")
FOUND = {"desk": ("zb", "alias", "chosen", "other", "small")}


def prepared(found: Mapping[str, tuple[str, ...]]) -> Prepared:
    read = prepare(load_many([("a.yaml", TEXT)], env={}), Listen(("127.0.0.1",), 5800), {})
    return read.with_machines([DESK], found)


@pytest.fixture(scope="module")
def config() -> Config:
    return prepared(FOUND).config


def test_own_models_aliases_and_selectors_keep_their_names(config: Config) -> None:
    before = prepared({}).config
    assert config.models["desk/zb"] == before.models["desk/zb"]
    targets = targets_of(config)
    assert {name: targets.by_name[name].node for name in ("desk/zb", "desk/alias", "desk/other", "desk/small")} == {
        "desk/zb": "",
        "desk/alias": "",
        "desk/other": "desk",
        "desk/small": "desk",
    }
    assert targets.by_name["desk/alias"].model_id == "small"
    assert [each.model_id for each in targets.choices["desk/chosen"].targets] == ["small"]
    assert (config.group_of("desk/zb"), config.group_of("desk/other")) == ("(default)", "(peers)")


def test_what_is_hidden_has_no_short_name_either(config: Config) -> None:
    assert not {"zb", "alias", "chosen"} & {*bare_names(config), *shared_names(config), *targets_of(config).by_name}
    assert "other" in targets_of(config).by_name
    assert shared_names(config) == {"small": ("small", "desk/small")}


def test_it_is_said_what_is_hidden(config: Config) -> None:
    assert hidden_models(config, FOUND) == {"desk": ("zb", "alias", "chosen")}
    said_of = [str(finding) for finding in prepared(FOUND).findings if "is not listed" in finding.message]
    assert len(said_of) == 3
    assert "model 'zb' of machine 'desk' is not listed: 'desk/zb' is a name here" in said_of[0]
    assert not [finding for finding in prepared({"desk": ("other",)}).findings if "is not listed" in finding.message]


def test_a_check_of_the_file_knows_the_names_of_machines_only(config: Config) -> None:
    found = findings_of_names(prepared({}).own, {"desk"})
    assert [finding.path for finding in found] == ["models.desk/zb", "models.small", "selectors.desk/chosen"]
    assert {finding.severity for finding in found} == {"warning"}
    assert findings_of_names(config, {"lap"}) == ()


def test_an_own_name_is_not_taken_for_one_of_a_peer(config: Config) -> None:
    assert not config.is_followed("desk/zb")
    assert not config.is_followed("desk/alias")
    assert config.is_followed("desk/other")
    assert config.is_followed("desk/whatever")
