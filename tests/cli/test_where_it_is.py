"""Where is a model ready? A port is one of this machine; what another machine has is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import invoke
from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

PORTS = free_run(3)
BESIDE = PORTS[2]
TEXT = f"""
startPort: {PORTS.start}
models:
  own: {{cmd: '{fake()}', metadata: {{at: '${{PORT}}'}}}}
  beside: {{proxy: 'http://localhost:{BESIDE}'}}
  away: {{proxy: 'http://192.0.2.1:9000'}}
peers:
  desk: {{proxy: 'http://127.0.0.1:{BESIDE}', models: [large]}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder: Path = tmp_path_factory.mktemp("where")
    configured(folder, TEXT)
    with instance(folder) as running:
        yield running


@pytest.mark.parametrize(
    ("model", "node", "number"),
    [("own", None, 0), ("beside", None, 2), ("away", None, None), ("desk/large", "desk", None)],
)
def test_it_is_said_where_a_model_is_ready(server: Instance, model: str, node: str | None, number: int | None) -> None:
    port = PORTS[number] if number is not None else None
    place = f" on {node}" if node is not None else f" on port {port}" if port is not None else ""
    loaded = invoke(["load", model, "--url", server.url])
    assert loaded.stdout.startswith(f"{model} is ready{place} after "), loaded.output
    answer = server.ask("POST", f"/api/models/load/{model}").json
    assert (answer["node"], answer["port"]) == (node, port)
    about = server.ask("GET", f"/api/models/{model}").json
    assert (about["node"], about["port"]) == (node, port)
    (shown,) = (row for row in server.ask("GET", "/info").json["models"] if row["model"] == model)
    assert shown["port"] == str(port or "")
    assert [row["port"] for row in server.ask("GET", "/running").json["running"] if row["model"] == model] in (
        [port],
        [],  # of a machine that is not followed it is known while it answers only
    )
