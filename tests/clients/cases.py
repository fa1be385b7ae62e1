"""What does each client do, and how is it seen that it worked?

A case is a function named as its client (with `_` for `-`) that returns what the client printed. The word of the note
can only be in it when the client has run a tool and sent back what came of it.
"""

from __future__ import annotations

from collections.abc import Callable

from clients.n8n import n8n
from clients.open_webui import open_webui
from clients.world import MODEL, Failed, World

ASK = "Read note.txt and tell me the word."
Case = Callable[[World], str]


def claude_code(world: World) -> str:
    """Anthropic's API with tools, in a stream."""
    return world.paste("claude-code", 0, f"claude -p '{ASK}' --allowedTools Bash Read")


def codex(world: World) -> str:
    """The Responses API with tools, in a stream."""
    return world.paste("codex", 0, codex_exec())


def codex_oss(world: World) -> str:
    """The same by `--oss`, which asks Ollama's API what is there."""
    return world.paste("codex", 1, codex_exec(f"--oss --local-provider ollama -m {MODEL}:latest"))


def codex_exec(more: str = "") -> str:
    """Return a command that runs Codex once, with this machine as its sandbox."""
    sandbox = "--skip-git-repo-check --dangerously-bypass-approvals-and-sandbox"
    return f"codex exec {sandbox} {more} '{ASK}'"


def opencode(world: World) -> str:
    """Chat completions with tools, in a stream."""
    return world.paste("opencode", 0, f"opencode run --auto '{ASK}'")


def aider(world: World) -> str:
    """Chat completions without tools: it writes the file that the answer has in it."""
    quiet = (
        "--yes-always --no-git --no-check-update --analytics-disable --no-show-release-notes --no-show-model-warnings"
    )
    (world.folder / "made.txt").write_text("")
    said = world.paste(
        "aider",
        0,
        f"aider --model openai/{MODEL} --weak-model openai/{MODEL} {quiet} --edit-format diff made.txt -m 'Fill it.'",
    )
    if "made by the model" not in (world.folder / "made.txt").read_text():
        raise Failed(f"the file was not written: {said[-500:]}")
    return said


def continue_(world: World) -> str:
    """Chat completions with tools, in a stream."""
    return world.paste("continue", 0, f"cn --config ~/.continue/config.yaml --auto -p '{ASK}'")


def cline(world: World) -> str:
    """Chat completions with tools, in a stream."""
    return world.paste("cline", 0, f"cline --auto-approve true --json '{ASK}'")


LLM_TOOL = """\
def read_note() -> str:
    'Reads the note.'
    return open('note.txt').read()
"""


def llm(world: World) -> str:
    """Chat completions with a tool."""
    (world.folder / "tool.py").write_text(LLM_TOOL)
    return world.paste("llm", 0, f"llm -m clara --functions tool.py '{ASK}'")


def llm_ollama(world: World) -> str:
    """The same by Ollama's API; the plug-in is installed already."""
    (world.folder / "tool.py").write_text(LLM_TOOL)
    lines = world.script("llm", "sh", 1).splitlines()
    return world.run("bash", "-ec", f"{lines[1]}\nllm -m ollama/{MODEL} --functions tool.py '{ASK}'")


OPENAI_TOOLS = """
import json, pathlib
tools = [{"type": "function", "function": {"name": "read_note", "description": "reads", "parameters": {"type": "object", "properties": {}}}}]
messages = [{"role": "user", "content": "Read note.txt and tell me the word."}]
MODEL = "scripted"
stream = client.chat.completions.create(model=MODEL, messages=messages, tools=tools, stream=True, stream_options={"include_usage": True})
call = {"id": "", "name": "", "arguments": ""}
for chunk in stream:
    for choice in chunk.choices:
        for delta in choice.delta.tool_calls or ():
            call["id"] += delta.id or ""
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
assert call["name"] == "read_note", call
said = {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
messages += [{"role": "assistant", "content": None, "tool_calls": [said]}]
messages += [{"role": "tool", "tool_call_id": call["id"], "content": pathlib.Path("note.txt").read_text()}]
print(client.chat.completions.create(model=MODEL, messages=messages, tools=tools).choices[0].message.content)
answer = client.responses.create(model=MODEL, input="Read the note.", tools=[{"type": "function", "name": "read_note", "parameters": {"type": "object", "properties": {}}}])
assert answer.output[0].type == "function_call", answer
assert len(client.embeddings.create(model=MODEL, input=["a", "b"]).data) == 2
assert MODEL in [model.id for model in client.models.list()]
"""  # noqa: E501 - lines of another program


def openai_python(world: World) -> str:
    """The page's lines, then a loop with a tool, the Responses API, embeddings and the list."""
    return world.python(world.script("openai-sdk", "python") + OPENAI_TOOLS)


OPENAI_JS_TOOLS = """
import { readFileSync } from 'node:fs';
const runner = client.chat.completions.runTools({
  model: 'scripted',
  messages: [{ role: 'user', content: 'Read note.txt and tell me the word.' }],
  stream: true,
  tools: [{ type: 'function', function: { name: 'read_note', description: 'reads', parse: JSON.parse,
    parameters: { type: 'object', properties: {} }, function: () => readFileSync('note.txt', 'utf8') } }],
});
console.log(await runner.finalContent());
"""


def openai_js(world: World) -> str:
    """The page's lines, then a loop with a tool, in streams."""
    return world.javascript(world.script("openai-sdk", "js") + OPENAI_JS_TOOLS)


ANTHROPIC_TOOLS = """
import pathlib
tools = [{"name": "read_note", "description": "reads", "input_schema": {"type": "object", "properties": {}}}]
messages = [{"role": "user", "content": "Read note.txt and tell me the word."}]
with client.messages.stream(model="scripted", max_tokens=100, messages=messages, tools=tools) as stream:
    first = stream.get_final_message()
use = next(block for block in first.content if block.type == "tool_use")
messages += [{"role": "assistant", "content": [block.to_dict() for block in first.content]}]
result = {"type": "tool_result", "tool_use_id": use.id, "content": pathlib.Path("note.txt").read_text()}
messages += [{"role": "user", "content": [result]}]
print(client.messages.create(model="scripted", max_tokens=100, messages=messages, tools=tools).content[0].text)
assert client.messages.count_tokens(model="scripted", messages=messages).input_tokens
"""


def anthropic_python(world: World) -> str:
    """The page's lines, then a loop with a tool, in a stream, and a count of tokens."""
    return world.python(world.script("anthropic-sdk", "python") + ANTHROPIC_TOOLS)


ANTHROPIC_JS_TOOLS = """
import { readFileSync } from 'node:fs';
const tools = [{ name: 'read_note', description: 'reads', input_schema: { type: 'object', properties: {} } }];
const messages = [{ role: 'user', content: 'Read note.txt and tell me the word.' }];
const first = await client.messages.stream({ model: 'scripted', max_tokens: 100, messages, tools }).finalMessage();
const use = first.content.find((block) => block.type === 'tool_use');
messages.push({ role: 'assistant', content: first.content });
messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: readFileSync('note.txt', 'utf8') }] });
const second = await client.messages.create({ model: 'scripted', max_tokens: 100, messages, tools });
console.log(second.content[0].text);
"""  # noqa: E501 - lines of another program


def anthropic_js(world: World) -> str:
    """The page's lines, then a loop with a tool, in a stream."""
    return world.javascript(world.script("anthropic-sdk", "js") + ANTHROPIC_JS_TOOLS)


OLLAMA_TOOLS = """
def read_note() -> str:
    "Reads the note."
    return open("note.txt").read()
messages = [{"role": "user", "content": "Read note.txt and tell me the word."}]
first = [chunk.message for chunk in client.chat(model="scripted", messages=messages, tools=[read_note], stream=True)]
calls = [call for message in first for call in message.tool_calls or ()]
assert calls[0].function.name == "read_note", first
messages += [message.model_dump() for message in first if message.tool_calls]
messages += [{"role": "tool", "tool_name": "read_note", "content": read_note()}]
print(client.chat(model="scripted", messages=messages, tools=[read_note]).message.content)
assert [model.model for model in client.list().models] == ["scripted:latest"], client.list()
assert client.show("scripted").capabilities is not None
assert client.generate("scripted", "Say hello.").response
assert len(client.embed("scripted", ["a", "b"]).embeddings) == 2
assert client.ps().models[0].model == "scripted:latest"
client.generate("scripted", keep_alive=0)
"""


def ollama_python(world: World) -> str:
    """The page's lines, then a loop with a tool, and every other call of the library that changes nothing."""
    return world.python(world.script("ollama-sdk", "python") + OLLAMA_TOOLS)


OLLAMA_JS_TOOLS = """
import { readFileSync } from 'node:fs';
const tools = [{ type: 'function', function: { name: 'read_note', description: 'reads',
  parameters: { type: 'object', properties: {}, required: [] } } }];
const messages = [{ role: 'user', content: 'Read note.txt and tell me the word.' }];
for await (const part of await client.chat({ model: 'scripted', messages: [...messages], tools, stream: true }))
  if (part.message.tool_calls) messages.push(part.message);
messages.push({ role: 'tool', tool_name: 'read_note', content: readFileSync('note.txt', 'utf8') });
const second = await client.chat({ model: 'scripted', messages, tools });
console.log(second.message.content, (await client.list()).models[0].name);
"""


def ollama_js(world: World) -> str:
    """The page's lines, then a loop with a tool, in a stream."""
    return world.javascript(world.script("ollama-sdk", "js") + OLLAMA_JS_TOOLS)


LANGCHAIN_AGENT = """
from langchain.agents import create_agent
from langchain_core.tools import tool

@tool
def read_note() -> str:
    "Reads the note."
    return open("note.txt").read()

agent = create_agent(chat, tools=[read_note])
last = None
asked = {"messages": [("user", "Read note.txt and tell me the word.")]}
for _kind, last in agent.stream(asked, stream_mode=["values"]):
    pass
print(last["messages"][-1].content)
"""


def langchain_openai(world: World) -> str:
    """The page's lines, then an agent."""
    return world.python(world.script("langchain", "python") + LANGCHAIN_AGENT)


def langchain_anthropic(world: World) -> str:
    """An agent by Anthropic's API."""
    made = f'chat = ChatAnthropic(model="{MODEL}", base_url="{world.address}", api_key="{world.key}", streaming=True)\n'
    return world.python(f"from langchain_anthropic import ChatAnthropic\n{made}{LANGCHAIN_AGENT}")


def langchain_ollama(world: World) -> str:
    """An agent by Ollama's API."""
    made = f'chat = ChatOllama(model="{MODEL}", base_url="{world.address}")\n'
    return world.python(f"from langchain_ollama import ChatOllama\n{made}{LANGCHAIN_AGENT}")


LLAMA_INDEX_AGENT = """
import asyncio
from llama_index.core.agent.workflow import FunctionAgent

def read_note() -> str:
    "Reads the note."
    return open("note.txt").read()

async def main():
    agent = FunctionAgent(tools=[read_note], llm=chat)
    print(await agent.run("Read note.txt and tell me the word."))
asyncio.run(main())
"""


def llama_index(world: World) -> str:
    """The page's lines, then an agent."""
    return world.python(world.script("langchain", "python", 1) + LLAMA_INDEX_AGENT)


LITELLM_TOOLS = """
import pathlib
tools = [{"type": "function", "function": {"name": "read_note", "description": "reads", "parameters": {"type": "object", "properties": {}}}}]
for model, base in (("openai/scripted", ADDRESS + "/v1"), ("ollama_chat/scripted", ADDRESS)):
    messages = [{"role": "user", "content": "Read note.txt and tell me the word."}]
    said = {"model": model, "api_base": base, "api_key": "none", "tools": tools}
    chunks = list(litellm.completion(messages=messages, stream=True, **said))
    first = litellm.stream_chunk_builder(chunks).choices[0].message
    messages += [first.model_dump(), {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": pathlib.Path("note.txt").read_text()}]
    print(litellm.completion(messages=messages, **said).choices[0].message.content)
"""  # noqa: E501 - lines of another program


def litellm(world: World) -> str:
    """The page's lines, then loops with a tool by OpenAI's and by Ollama's API."""
    address = f'ADDRESS = "{world.address}"\n'
    return world.python(world.script("litellm", "python") + address + LITELLM_TOOLS)


AI_TOOLS = """
import { stepCountIs, streamText, tool } from 'ai';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
const result = streamText({
  model: claracore('scripted'),
  prompt: 'Read note.txt and tell me the word.',
  stopWhen: stepCountIs(3),
  tools: { read_note: tool({ description: 'reads', inputSchema: z.object({}), execute: () => readFileSync('note.txt', 'utf8') }) },
});
console.log(await result.text);
"""  # noqa: E501 - lines of another program


def ai_sdk(world: World) -> str:
    """The page's lines, then a loop with a tool, in streams."""
    return world.javascript(world.script("ai-sdk", "js") + AI_TOOLS)


def curl(world: World) -> str:
    """All of the page's lines."""
    done = [world.run("bash", "-ec", code) for language, _file, code in world.blocks("curl") if language == "sh"]
    for part in ('"scripted"', "hello", '"embedding"', "relevance_score"):
        if not any(part in text for text in done):
            raise Failed(f"no {part} in {done}")
    return done[1]


MCP_LOOP = """
async def loop():
    async with AsyncClient(timeout=60) as http:
        async with Client(streamable_http_client(ADDRESS + "/mcp", http_client=http)) as client:
            loaded = await client.call_tool("load_model", {"model": "scripted"})
            print("state:", loaded.structured_content["state"])
            await client.call_tool("unload_model")
asyncio.run(loop())
"""


def mcp(world: World) -> str:
    """The page's lines, then a model is loaded and unloaded."""
    return world.python(f'ADDRESS = "{world.address}"\n' + world.script("mcp", "python") + MCP_LOOP)


def mcp_inspector(world: World) -> str:
    """The tools are listed, and one is called."""
    inspector = ["mcp-inspector", "--cli", f"{world.address}/mcp", "--transport", "http", "--method"]
    listed = world.run(*inspector, "tools/list")
    if "unload_model" not in listed:
        raise Failed(f"it lists {listed}")
    called = ("--tool-name", "load_model", "--tool-arg", f"model={MODEL}")
    return "state: " + world.run(*inspector, "tools/call", *called)


CASES: dict[str, Case] = {
    "claude-code": claude_code,
    "codex": codex,
    "codex-oss": codex_oss,
    "opencode": opencode,
    "aider": aider,
    "continue": continue_,
    "cline": cline,
    "open-webui": open_webui,
    "n8n": n8n,
    "llm": llm,
    "llm-ollama": llm_ollama,
    "curl": curl,
    "litellm": litellm,
    "ai-sdk": ai_sdk,
    "openai-python": openai_python,
    "openai-js": openai_js,
    "anthropic-python": anthropic_python,
    "anthropic-js": anthropic_js,
    "ollama-python": ollama_python,
    "ollama-js": ollama_js,
    "langchain-openai": langchain_openai,
    "langchain-anthropic": langchain_anthropic,
    "langchain-ollama": langchain_ollama,
    "llama-index": llama_index,
    "mcp": mcp,
    "mcp-inspector": mcp_inspector,
}
WITHOUT_TOOLS = {"aider": "", "curl": "hello", "open-webui": "pelican", "mcp": "state: ready", "mcp-inspector": "ready"}
"""Clients that do not call tools for a model, and what is looked for in their output instead of the word of the note.
"""
