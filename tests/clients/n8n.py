"""Does an agent of n8n work through its connection to OpenAI's API, tool included?

Credentials and a workflow are imported by its command line, which then runs the workflow once.
"""

from __future__ import annotations

import json
from typing import Any

from clients.world import MODEL, World

SETTINGS = {
    "N8N_DIAGNOSTICS_ENABLED": "false", "N8N_VERSION_NOTIFICATIONS_ENABLED": "false", "N8N_TEMPLATES_ENABLED": "false",
    "N8N_ENCRYPTION_KEY": "only for this run", "N8N_PERSONALIZATION_ENABLED": "false",
    "EXTERNAL_FRONTEND_HOOKS_URLS": "",
    "N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS": "false",
}  # fmt: skip
LANGCHAIN = "@n8n/n8n-nodes-langchain"


def n8n(world: World) -> str:
    """Return what the workflow's run printed."""
    credentials = world.folder / "credentials.json"
    data = {"apiKey": world.key, "url": f"{world.address}/v1"}
    credentials.write_text(json.dumps([{"id": "clara", "name": "ClaraCore", "type": "openAiApi", "data": data}]))
    flow = world.folder / "workflow.json"
    flow.write_text(json.dumps([workflow((world.folder / "note.txt").read_text())]))
    world.run("n8n", "import:credentials", f"--input={credentials}", **SETTINGS)
    world.run("n8n", "import:workflow", f"--input={flow}", **SETTINGS)
    return world.run("n8n", "execute", "--id=agent", **SETTINGS)


def workflow(note: str) -> dict[str, Any]:
    """Return a workflow of an agent that has a model and a tool."""
    model = {"model": {"__rl": True, "mode": "id", "value": MODEL}, "options": {}}
    tool = {"name": "read_note", "description": "Reads the note.", "jsCode": f"return {json.dumps(note)}"}
    asked = {"promptType": "define", "text": "Read the note and tell me the word.", "options": {}}
    nodes = [
        node("Start", "n8n-nodes-base.manualTrigger", 1, {}),
        node("Agent", f"{LANGCHAIN}.agent", 2, asked),
        node("Model", f"{LANGCHAIN}.lmChatOpenAi", 1.2, model)
        | {"credentials": {"openAiApi": {"id": "clara", "name": "ClaraCore"}}},
        node("read_note", f"{LANGCHAIN}.toolCode", 1.3, tool),
    ]
    connections = {
        "Start": {"main": [[{"node": "Agent", "type": "main", "index": 0}]]},
        "Model": {"ai_languageModel": [[{"node": "Agent", "type": "ai_languageModel", "index": 0}]]},
        "read_note": {"ai_tool": [[{"node": "Agent", "type": "ai_tool", "index": 0}]]},
    }
    return {"id": "agent", "name": "agent", "active": False, "settings": {}, "nodes": nodes, "connections": connections}


def node(name: str, kind: str, version: float, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return one node."""
    return {
        "id": name, "name": name, "type": kind, "typeVersion": version, "position": [0, 0], "parameters": parameters,
    }  # fmt: skip
