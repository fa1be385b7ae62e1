"""What is each call of a model for, and which are the main fields of its body?

A table for the description of the API. The calls themselves go to the models' servers as they are: what else these
understand may be in a body as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

Fields = Mapping[str, dict[str, Any]]


def _list_of(kind: str, text: str = "") -> dict[str, Any]:
    return {"type": "array", "items": {"type": kind}, **({"description": text} if text else {})}


TEXT: Final[dict[str, Any]] = {"type": "string"}
NUMBER: Final[dict[str, Any]] = {"type": "number"}
COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
STREAM: Final[dict[str, Any]] = {"type": "boolean", "description": "whether the answer comes in pieces"}
OBJECT: Final[dict[str, Any]] = {"type": "object"}
MESSAGES: Final = _list_of("object", "{role, content}, the oldest first")
TOOLS: Final = _list_of("object", "functions that the model may ask for")
TEXTS: Final[dict[str, Any]] = {"oneOf": [TEXT, _list_of("string")]}
FILE: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
OPTIONS: Final[dict[str, Any]] = {"type": "object", "description": "Ollama's names for temperature, num_predict..."}
KEEP_ALIVE: Final[dict[str, Any]] = {
    "oneOf": [TEXT, NUMBER],
    "description": "after how long without requests the model is unloaded; 0 is now, -1 never",
}
SAMPLING: Final[Fields] = {"temperature": NUMBER, "top_p": NUMBER, "stop": TEXTS, "seed": {"type": "integer"}}
OLLAMA: Final[Fields] = {"options": OPTIONS, "keep_alive": KEEP_ALIVE, "stream": STREAM}


@dataclass(frozen=True, slots=True)
class InferenceCall:
    """What a path is for."""

    summary: str
    api: str
    """Whose API it is."""
    fields: Fields = field(default_factory=dict)
    """JSON schemas of fields of the body, or of parameters of the query, beside `model`."""
    required: tuple[str, ...] = ()


_CHAT = InferenceCall(
    "Goes on with a conversation",
    "OpenAI",
    {
        "messages": MESSAGES,
        "tools": TOOLS,
        "max_tokens": COUNT,
        "response_format": OBJECT,
        "stream": STREAM,
        **SAMPLING,
    },
    ("messages",),
)
_RERANK = InferenceCall(
    "Orders documents by how well they answer a query",
    "Jina and Cohere",
    {"query": TEXT, "documents": _list_of("string"), "top_n": COUNT},
    ("query", "documents"),
)
_EMBED = InferenceCall("Turns texts into vectors", "OpenAI", {"input": TEXTS, "encoding_format": TEXT}, ("input",))
_COMPLETE = InferenceCall(
    "Goes on with a text", "OpenAI", {"prompt": TEXTS, "max_tokens": COUNT, "stream": STREAM, **SAMPLING}, ("prompt",)
)
_RESPONSES = InferenceCall(
    "Goes on with a conversation, in OpenAI's second way",
    "OpenAI",
    {"input": {"oneOf": [TEXT, _list_of("object")]}, "instructions": TEXT, "tools": TOOLS, "max_output_tokens": COUNT,
     "stream": STREAM},
    ("input",),
)  # fmt: skip
_MESSAGES = InferenceCall(
    "Goes on with a conversation, in Anthropic's way",
    "Anthropic",
    {"messages": MESSAGES, "system": TEXTS, "max_tokens": COUNT, "tools": TOOLS, "thinking": OBJECT, "stream": STREAM},
    ("messages", "max_tokens"),
)
_SPEECH = {"file": FILE, "language": TEXT, "prompt": TEXT, "response_format": TEXT}
_IMAGES = {"prompt": TEXT, "n": COUNT, "size": TEXT}
_FILL = {"input_prefix": TEXT, "input_suffix": TEXT, "input_extra": _list_of("object"), "prompt": TEXT}

CALLS: Final[Mapping[str, InferenceCall]] = {
    "/chat/completions": _CHAT,
    "/chat/completions/input_tokens": InferenceCall(
        "Counts the tokens of a conversation", "OpenAI", {"messages": MESSAGES, "tools": TOOLS}, ("messages",)
    ),
    "/responses": _RESPONSES,
    "/responses/input_tokens": InferenceCall(
        "Counts the tokens of a conversation", "OpenAI", {"input": TEXTS, "tools": TOOLS}, ("input",)
    ),
    "/completions": _COMPLETE,
    "/messages": _MESSAGES,
    "/messages/count_tokens": InferenceCall(
        "Counts the tokens of a conversation", "Anthropic", {"messages": MESSAGES, "system": TEXTS}, ("messages",)
    ),
    "/embeddings": _EMBED,
    "/rerank": _RERANK,
    "/reranking": _RERANK,
    "/score": InferenceCall("Rates how well texts belong together", "vLLM", {"text_1": TEXTS, "text_2": TEXTS}),
    "/pooling": InferenceCall("Gives a model's pooled states", "vLLM", {"input": TEXTS}),
    "/classify": InferenceCall("Sorts texts into classes", "vLLM", {"input": TEXTS}),
    "/moderations": InferenceCall("Says whether texts are harmful", "OpenAI", {"input": TEXTS}, ("input",)),
    "/audio/speech": InferenceCall(
        "Speaks a text", "OpenAI", {"input": TEXT, "voice": TEXT, "response_format": TEXT, "speed": NUMBER}, ("input",)
    ),
    "/audio/voices": InferenceCall("Lists voices", "OpenAI"),
    "/audio/transcriptions": InferenceCall("Writes down what is spoken", "OpenAI", _SPEECH, ("file",)),
    "/audio/translations": InferenceCall("Writes down in English what is spoken", "OpenAI", _SPEECH, ("file",)),
    "/images/generations": InferenceCall("Makes pictures", "OpenAI", _IMAGES, ("prompt",)),
    "/images/edits": InferenceCall("Changes a picture", "OpenAI", {"image": FILE, "mask": FILE, **_IMAGES}),
    "/images/variations": InferenceCall("Makes pictures that are like one", "OpenAI", {"image": FILE, **_IMAGES}),
    "/infill": InferenceCall("Fills a gap in a text", "llama.cpp", {**_FILL, "n_predict": {"type": "integer"}}),
    "/completion": InferenceCall(
        "Goes on with a text", "llama.cpp", {"prompt": TEXTS, "n_predict": {"type": "integer"}, "stream": STREAM}
    ),
    "/embedding": InferenceCall("Turns texts into vectors", "llama.cpp", {"content": TEXTS}),
    "/tokenize": InferenceCall("Turns a text into tokens", "llama.cpp", {"content": TEXT}, ("content",)),
    "/detokenize": InferenceCall("Turns tokens into a text", "llama.cpp", {"tokens": _list_of("integer")}, ("tokens",)),
    "/apply-template": InferenceCall(
        "Writes a conversation as the model reads it", "llama.cpp", {"messages": MESSAGES}, ("messages",)
    ),
    "/props": InferenceCall("Says what a model's server is set to", "llama.cpp"),
    "/slots": InferenceCall("Says what a model's server works at", "llama.cpp"),
    "/lora-adapters": InferenceCall("Lists a model's adapters", "llama.cpp"),
    "/sdapi/txt2img": InferenceCall("Makes a picture", "Stable Diffusion web UI", {"prompt": TEXT}),
    "/sdapi/img2img": InferenceCall("Changes pictures", "Stable Diffusion web UI", {"init_images": _list_of("string")}),
    "/sdapi/loras": InferenceCall("Lists adapters", "Stable Diffusion web UI"),
    "/audioapi/tasks/run": InferenceCall("Does a task with sound", "audio.cpp"),
    "/api/v0/chat/completions": replace(_CHAT, api="LM Studio"),
    "/api/v0/completions": replace(_COMPLETE, api="LM Studio"),
    "/api/v0/embeddings": replace(_EMBED, api="LM Studio"),
    "/api/chat": InferenceCall(
        "Goes on with a conversation",
        "Ollama",
        {"messages": MESSAGES, "tools": TOOLS, "format": {"oneOf": [TEXT, OBJECT]}, **OLLAMA},
    ),
    "/api/generate": InferenceCall(
        "Goes on with a text; without one it loads or unloads the model",
        "Ollama",
        {"prompt": TEXT, "suffix": TEXT, "system": TEXT, "images": _list_of("string"), **OLLAMA},
    ),
    "/api/embed": InferenceCall(
        "Turns texts into vectors", "Ollama", {"input": TEXTS, "options": OPTIONS, "keep_alive": KEEP_ALIVE}, ("input",)
    ),
    "/api/embeddings": InferenceCall(
        "Turns a text into a vector", "Ollama", {"prompt": TEXT, "options": OPTIONS, "keep_alive": KEEP_ALIVE}
    ),
}
"""By paths without the `/v1`, `/v2` or `/v` that some of them have."""
