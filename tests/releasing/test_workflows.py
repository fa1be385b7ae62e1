"""What the workflows call is there, and they may do no more than they must."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RIGHTS = {
    "pypi": {"id-token": "write", "attestations": "write"},
    "page": {"contents": "write"},
}
"""Jobs that may more than read the repository."""

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))


def workflow(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job.get("steps", [])]


@each
def test_what_a_workflow_runs_is_there(path: Path) -> None:
    script = "\n".join(step["run"] for step in steps(path) if "run" in step)
    targets = {*re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE), ".venv/.ready"}
    made = set(re.findall(r"\bmake ([\w./-]+)", script))
    assert made <= targets, f"no make target {sorted(made - targets)}"
    files = set(re.findall(r"(?:^|[ /])((?:tools|\.ci)/[\w./]+)", script))
    missing = sorted(name for name in files if not (ROOT / name).exists())
    assert not missing, f"no file {missing}"


@each
def test_another_s_action_has_a_version_and_our_own_workflow_is_there(path: Path) -> None:
    jobs = workflow(path)["jobs"].values()
    used = [part["uses"] for part in [*jobs, *steps(path)] if "uses" in part]
    for action in used:
        if action.startswith("./"):
            assert (ROOT / action).exists(), action
        else:
            assert re.fullmatch(r"[\w./-]+@(v[\d.]+|[0-9a-f]{40})", action), f"{action}: neither a version nor a commit"


@each
def test_a_job_may_read_and_those_that_publish_what_they_need(path: Path) -> None:
    loaded = workflow(path)
    assert loaded["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in loaded["jobs"].items() if "permissions" in job}
    assert more == ({} if path.stem != "release" else RIGHTS)
    text = path.read_text(encoding="utf-8")
    assert "secrets." not in text, "publishing needs none"
    assert "pull_request_target" not in text
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_publishes_waits_for_everything_that_was_built_and_tried() -> None:
    jobs = workflow(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert set(jobs["pypi"]["needs"]) == jobs.keys() - RIGHTS.keys()
    assert all(jobs[name]["if"] == "github.ref_type == 'tag'" for name in RIGHTS)


def test_tools_have_one_version_everywhere() -> None:
    uv = re.findall(r"^UV_VERSION := (\S+)$", MAKEFILE, re.MULTILINE)
    used = {version for path in WORKFLOWS for version in re.findall(r"\buv==(\S+)", path.read_text(encoding="utf-8"))}
    assert used == set(uv)


def test_compiled_wheels_are_for_the_pythons_that_the_project_supports() -> None:
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=3.")
    builds = PYPROJECT["tool"]["cibuildwheel"]["build"].split()
    assert builds == [f"cp3{minor}-*" for minor in range(int(oldest), int(oldest) + len(builds))]
    tried = workflow(ROOT / ".github" / "workflows" / "dist.yml")["jobs"]["try"]["strategy"]["matrix"]["python"]
    assert {f"cp{python.replace('.', '')}-*" for python in tried} == {builds[0], builds[-1]}
