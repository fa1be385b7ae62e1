from __future__ import annotations

from claracore.core.config.load import load
from claracore.core.config.show import ShownOption, as_json, as_yaml, shown_options

TEXT = """\
globalTTL: 5m
apiKeys: [sk-123456]
macros:
  server: llama-server --port ${PORT}
models:
  "a:1":
    cmd: |
      ${server} -m x --api-key hush
      --hf-token=${env.HF_TOKEN} ${env.HF_TOKEN}
    env: [HF_TOKEN=abc, LEVEL=3]
    filters:
      setParamsByID: {"a:high": {effort: high}}
  b:
    cmd: ${server}
    ttl: 0
    name: null
"""
ENV = {"HF_TOKEN": "hf_secret_1"}


def shown(*, defaults: bool = False) -> dict[str, ShownOption]:
    loaded = load(TEXT, file="c.yaml", env=ENV)
    assert loaded.config is not None
    return {row.name: row for row in shown_options(loaded, loaded.config, env=ENV, defaults=defaults)}


def test_each_value_has_an_origin() -> None:
    found = shown(defaults=True)
    assert found["globalTTL"].origin == "c.yaml:1"
    assert found["models.a:1.ttl"] == ShownOption(("models", "a:1", "ttl"), 300.0, "globalTTL, c.yaml:1")
    assert found["models.b.ttl"] == ShownOption(("models", "b", "ttl"), 0.0, "c.yaml:15")
    assert found["models.b.name"].origin == "default"
    assert found["models.b.healthCheckTimeout"] == ShownOption(("models", "b", "healthCheckTimeout"), 120.0, "default")
    assert found["models.a:1.aliases"] == ShownOption(("models", "a:1", "aliases"), ["a:high"], "worked out")
    assert found["startPort"] == ShownOption(("startPort",), 8100, "default")


def test_secrets_are_masked() -> None:
    found = shown()
    assert found["apiKeys"].value == ["***"]
    assert found["models.a:1.env"].value == ["HF_TOKEN=***", "LEVEL=3"]
    assert found["models.a:1.cmd"].value.split("\n")[0] == "llama-server --port ${PORT} -m x --api-key ***"
    assert "hf_secret_1" not in as_yaml(list(found.values())) + as_json(list(found.values()))
    assert "hush" not in as_yaml(list(found.values()))


def test_what_is_shown_is_a_configuration_again() -> None:
    text = as_yaml(list(shown().values()))
    again = load(text, env={})
    assert again.config is not None, again.findings
    assert again.config.models["b"].cmd == "llama-server --port ${PORT}"
    assert load(as_yaml([]), env={}).config is not None
