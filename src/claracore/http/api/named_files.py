"""What do the files of every model say about it? For a list of models, also of those that never ran."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from claracore.http.api.dependencies import DownloadsDep, RuntimeDep
from claracore.http.api.model_files import AboutFiles, about_files

router = APIRouter(tags=["models"])


class FilesView(BaseModel):
    """What the files of one model say; null and "" where they do not."""

    size_bytes: int
    """Of all its files together."""
    architecture: str
    family: str
    """What its makers call it without size and version; else its architecture."""
    quantization: str
    parameters: int | None
    parameters_active: int | None
    """Of these used for one token."""
    context: int | None
    """Tokens that one request may have, as its command says."""
    context_trained: int | None


class AllFilesView(BaseModel):
    """By model; those whose command names no file that can be read are missing."""

    models: dict[str, FilesView]


@router.get("/api/model-files")
async def model_files(runtime: RuntimeDep, downloads: DownloadsDep) -> AllFilesView:
    """Show what the files of every model say: size, quantization, parameters, context."""
    found = await about_files(runtime, downloads, runtime.config.models)
    return AllFilesView(models={model: _view(about) for model, about in sorted(found.items()) if about.paths})


def _view(about: AboutFiles) -> FilesView:
    facts = about.facts
    return FilesView(
        size_bytes=about.size,
        architecture=facts.architecture if facts is not None else "",
        family=(facts.basename or facts.architecture) if facts is not None else "",
        quantization=facts.quantization if facts is not None else "",
        parameters=(facts.parameters or None) if facts is not None else None,
        parameters_active=(facts.parameters_active or None) if facts is not None else None,
        context=about.context,
        context_trained=facts.context_trained if facts is not None else None,
    )
