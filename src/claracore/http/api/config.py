"""What does the configuration say, what would another one change, and how does it take over?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from claracore.core.config import edit, form
from claracore.core.config.schema import json_schema
from claracore.core.config.tree import Unreadable
from claracore.core.config.without_model import without_model
from claracore.errors import BadRequest, ConfigError, Conflict, NotFound
from claracore.host.setup.examine import examine
from claracore.host.store import files
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.edits import careful
from claracore.http.access.guard import YAML_TYPES
from claracore.http.api.dependencies import InstallationDep, RuntimeDep
from claracore.http.api.findings import ChangesView, FindingView, changes_view, finding_views
from claracore.http.api.shallow import ShallowObject

router = APIRouter(prefix="/api/config", tags=["config"])

IfMatch = Annotated[str | None, Header(description="The hash of the text that the change is based on; * for any.")]


class ConfigView(BaseModel):
    """The text of the configuration file, and what is to be said about it."""

    yaml: str
    hash: str
    file: str
    findings: list[FindingView]
    rejected: list[FindingView]
    """What is wrong with the file as it is now, when it could not be taken over."""


class Text(BaseModel):
    """A whole configuration."""

    yaml: str


async def _text_in(request: Request) -> Text:
    """Read a body that is YAML itself (`curl --data-binary @config.yaml`), or JSON with the YAML in it."""
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower().encode()
    try:
        return Text(yaml=body.decode()) if media in YAML_TYPES else Text.model_validate_json(body)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the YAML in the body is not UTF-8: byte {error.start}") from error
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


TextInBody = Annotated[Text, Depends(_text_in)]
_TEXT_IN_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Text"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


class WrittenView(BaseModel):
    """What came of writing the file."""

    hash: str
    backup: str | None
    changes: ChangesView


class CheckView(BaseModel):
    """What would happen if a text were the configuration."""

    ok: bool
    findings: list[FindingView]
    changes: ChangesView | None


class FormText(BaseModel):
    """A text that need not be saved, and what a person typed into a form: a missing option stays, an empty one goes."""

    yaml: str
    model: str = ""
    ttl: str | None = None
    context: str | None = None
    """Tokens: --ctx-size of the command."""
    group: str | None = None


class ModelFormView(BaseModel):
    """What a form shows of one model."""

    id: str
    line: int
    """Where it begins in the text, from 1."""
    ttl: str
    context: str
    group: str


class FormsView(BaseModel):
    """A text, and what a form shows of its models."""

    yaml: str
    models: list[ModelFormView]
    groups: list[str]


class ReloadView(BaseModel):
    """What was taken over."""

    changes: ChangesView


class BackupView(BaseModel):
    """One older text of the file."""

    name: str
    at: float
    bytes: int


class BackupsView(BaseModel):
    """The older texts of the file, the newest first."""

    backups: list[BackupView]


@router.get("")
async def config(runtime: RuntimeDep, response: Response) -> ConfigView:
    """Show the configuration file as it is on the disk."""
    configuration = runtime.configuration
    file = configuration.sources.one_file()
    text = await asyncio.to_thread(files.read, file)
    digest = files.digest(text)
    response.headers["ETag"] = f'"{digest}"'
    return ConfigView(
        yaml=text,
        hash=digest,
        file=str(file),
        findings=finding_views(configuration.now.findings),
        rejected=finding_views(configuration.rejected),
    )


@router.put("", openapi_extra=_TEXT_IN_BODY)
async def replace(runtime: RuntimeDep, text: TextInBody, if_match: IfMatch = None) -> WrittenView:
    """Write a new configuration and take it over; one that cannot be used is not written."""
    if if_match is None:
        raise BadRequest("say in If-Match which text you replace: the hash of GET /api/config, or *")
    return await change_config(runtime.configuration, lambda _: text.yaml, if_match)


@router.post("/check", openapi_extra=_TEXT_IN_BODY)
async def check(runtime: RuntimeDep, installation: InstallationDep, text: TextInBody) -> CheckView:
    """Say what is wrong with a text, and what would change if it were the configuration."""
    configuration = runtime.configuration
    sources = await asyncio.to_thread(configuration.sources.with_text, text.yaml)
    examined = await asyncio.to_thread(
        examine,
        sources,
        env=configuration.environ,
        listen=installation.listen,
        strict=configuration.sources.strict,
        ollama=configuration.ollama,
        joined=configuration.joined,
    )
    changes = None
    if examined.usable:
        _prepared, found = await asyncio.to_thread(configuration.check, sources)
        changes = changes_view(found)
    return CheckView(ok=examined.usable, findings=finding_views(examined.findings), changes=changes)


@router.post("/form")
async def edit_text(typed: FormText) -> FormsView:
    """Change options of one model in a text, whose other bytes stay, and say what a form shows; nothing is saved."""
    return await asyncio.to_thread(_edit_text, typed)


@router.post("/reload")
async def reload(runtime: RuntimeDep) -> ReloadView:
    """Take over what the file says now."""
    return ReloadView(changes=changes_view(await runtime.configuration.reload()))


@router.get("/schema")
async def schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return json_schema()


@router.get("/backups")
async def backups(runtime: RuntimeDep) -> BackupsView:
    """List the older texts that were kept when the file was written."""
    found = await asyncio.to_thread(_backups, runtime.configuration.sources.one_file())
    return BackupsView(backups=found)


@router.get("/backups/{name}")
async def backup(runtime: RuntimeDep, name: str) -> Text:
    """Show an older text."""
    for path in await asyncio.to_thread(files.backups, runtime.configuration.sources.one_file()):
        if path.name == name:
            return Text(yaml=await asyncio.to_thread(files.read, path))
    raise NotFound(f"there is no backup {name!r}")


@router.patch("/models/{name:path}")
async def change_model(
    runtime: RuntimeDep, name: str, patch: Annotated[ShallowObject, Body()], if_match: IfMatch = None
) -> WrittenView:
    """Change options of one model, as a JSON merge patch (null removes); comments and order of the file stay."""
    model_id = runtime.config.resolve(name) or name
    if "cmd" not in patch and "container" not in patch:  # with one of them it becomes a model of this machine's own
        _check_own(runtime.configuration, model_id)
    return await _edit(runtime.configuration, lambda text: edit.merge(text, ("models", model_id), patch), if_match)


@router.delete("/models/{name:path}")
async def delete_model(runtime: RuntimeDep, name: str, if_match: IfMatch = None) -> WrittenView:
    """Take a model out of the file, also where groups and preload name it."""
    model_id = runtime.resolve(name)
    _check_own(runtime.configuration, model_id)
    return await _edit(runtime.configuration, lambda text: without_model(text, model_id), if_match)


def _check_own(configuration: Configuration, model_id: str) -> None:
    """Raise Conflict for a model that the head of this machine has given to it."""
    if model_id in configuration.now.part.models:
        raise Conflict(f"model {model_id!r} comes from the head that this machine has joined: change it in its file")


async def _edit(configuration: Configuration, change: Callable[[str], str], if_match: str | None) -> WrittenView:
    """Change the text that the file has when this change's turn has come, or only the one that `if_match` names."""
    return await change_config(configuration, careful(configuration, change), "*" if if_match is None else if_match)


def _edit_text(typed: FormText) -> FormsView:
    change = form.FormChange(typed.ttl, typed.context, typed.group)
    try:
        text = form.changed(typed.yaml, typed.model, change) if typed.model else typed.yaml
        found = [ModelFormView(**asdict(each)) for each in form.forms(text)]
        return FormsView(yaml=text, models=found, groups=form.groups(text))
    except Unreadable as error:
        raise ConfigError([error.finding]) from error


async def change_config(configuration: Configuration, edit: Callable[[str | None], str], if_match: str) -> WrittenView:
    """Write what `edit` makes of the text that `if_match` names (`*`: of any; empty: of none), and take it over.

    Raises ConfigError, ChangedMeanwhile, FileUnusable, DiskFull and what `edit` raises; then nothing has changed.
    """
    expected = if_match.removeprefix("W/").strip('"')
    written, changes = await configuration.change(edit, expected=None if expected == "*" else expected)
    backup = written.backup.name if written.backup is not None else None
    return WrittenView(hash=written.digest, backup=backup, changes=changes_view(changes))


def _backups(file: Path) -> list[BackupView]:
    found = []
    for path in reversed(files.backups(file)):
        stamp = path.name.rpartition(".backup.")[2]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()
        found.append(BackupView(name=path.name, at=at, bytes=path.stat().st_size))
    return found
