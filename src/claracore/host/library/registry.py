"""With which requests is Ollama's registry asked, and what do its answers mean?

It speaks as container registries do (OCI distribution): `/v2/NAMESPACE/MODEL/manifests/TAG`, and
`/v2/NAMESPACE/MODEL/blobs/DIGEST`, which leads to another host. All else is as with the hub: redirects, ranges,
statuses. What is public needs no account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import httpx2
import msgspec

from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.ollama import (
    LIBRARY,
    REGISTRY_URL,
    REGISTRY_VARIABLE,
    OllamaManifest,
    OllamaName,
    OllamaSettings,
    plan_of,
    reference_to,
)
from claracore.core.pull.plan import Plan
from claracore.core.pull.reference import Reference
from claracore.errors import ClaraCoreError
from claracore.host.library.hub import HubClient, endpoint_of
from claracore.host.library.hub_errors import HubUnreachable, NotOnHub
from claracore.host.library.hub_tokens import HubToken

Kind = TypeVar("Kind", OllamaManifest, OllamaSettings)
MEDIA_TYPE: Final = "application/vnd.docker.distribution.manifest.v2+json"


class RegistryClient(HubClient):
    """One registry, for one event loop. Close it with `aclose`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read CLARACORE_OLLAMA_REGISTRY. Raises as the hub's client does."""
        super().__init__(environ, lambda: None)
        self._client.headers["Accept"] = f"{MEDIA_TYPE}, */*"

    @staticmethod
    def _endpoint_of(environ: Mapping[str, str]) -> str:
        return endpoint_of(environ, REGISTRY_VARIABLE, REGISTRY_URL)

    async def plan(self, name: OllamaName) -> Plan:
        """Return of which files a model is made. Raises NotOnHub, NoSuchFile, HubUnreachable."""
        reference = reference_to(name)
        found, _link = await self._json(f"{self._base(reference)}/manifests/{reference.revision}", reference)
        manifest = self._read(found, OllamaManifest)
        return plan_of(name, manifest, await self._settings(reference, manifest))

    async def _settings(self, reference: Reference, manifest: OllamaManifest) -> OllamaSettings:
        """Return what the model's configuration says, which is a small blob of its own."""
        if manifest.config is None or not manifest.config.digest.startswith("sha256:"):
            return OllamaSettings()
        found, _link = await self._json(f"{self._base(reference)}/blobs/{manifest.config.digest}", reference)
        return self._read(found, OllamaSettings)

    def _read(self, found: object, kind: type[Kind]) -> Kind:
        try:
            return msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            raise HubUnreachable(f"{self.endpoint} does not answer as a registry of Ollama's: {error}") from error

    def _base(self, reference: Reference) -> str:
        return f"{self.endpoint}/v2/{reference.repo}"

    def _resolve(self, reference: Reference, file: RemoteFile) -> str:
        return f"{self._base(reference)}/blobs/sha256:{file.sha256}"

    def _refusal(self, answer: httpx2.Response, reference: Reference | None, token: HubToken | None) -> ClaraCoreError:
        if answer.status_code in {401, 403, 404} and str(answer.url).startswith(f"{self.endpoint}/"):
            hint = (
                ""
                if reference is None or reference.repo.startswith(f"{LIBRARY}/")
                else (f"; a repository of the hub is hf.co/{reference.repo}")
            )
            return NotOnHub(f"there is no model {reference} in Ollama's library ({self.endpoint}){hint}", param="model")
        return super()._refusal(answer, reference, token)
