"""What model servers are asked in place of what Ollama's clients ask."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claracore.errors import BadRequest
from claracore.http.wire.ollama_calls import chat_call, embed_call, generate_call
from claracore.http.wire.ollama_options import sampling
from claracore.http.wire.ollama_wishes import ChatWish, GenerateWish, read

PNG = "iVBORw0KGgoAAAA"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def chat(**members: Any) -> dict[str, Any]:
    path, body = chat_call("m", read(json.dumps({"stream": False, **members}).encode(), ChatWish))
    assert path == b"/v1/chat/completions"
    return dict(json.loads(body))


def generate(**members: Any) -> tuple[str, dict[str, Any]]:
    path, body = generate_call("m", read(json.dumps({"stream": False, **members}).encode(), GenerateWish))
    return path.decode(), dict(json.loads(body))


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return list(chat(messages=messages)["messages"])


def test_a_chat_is_a_chat() -> None:
    assert chat(messages=[{"role": "user", "content": "hi"}]) == {
        "model": "m",
        "stream": False,
        "messages": [{"role": "user", "content": "hi"}],
    }


def test_a_stream_says_at_its_end_how_many_tokens_there_were() -> None:
    asked = chat(messages=[{"role": "user", "content": "hi"}], stream=None)
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize(
    ("image", "kind"),
    [(PNG, "png"), ("/9j/4AAQ", "jpeg"), ("R0lGODlh", "gif"), ("UklGRiQA", "webp"), ("Qk02", "bmp"), ("AAAA", "png")],
)
def test_pictures_become_data_uris(image: str, kind: str) -> None:
    [message] = said({"role": "user", "content": "what is it?", "images": [image]})
    assert message["content"] == [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{image}"}},
    ]


def test_a_picture_that_is_a_data_uri_stays_one_and_needs_no_text() -> None:
    [message] = said({"role": "user", "images": ["data:image/png;base64,AAAA"]})
    assert message["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]


def test_calls_of_tools_get_ids_and_their_results_name_them() -> None:
    conversation = said(
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "thinking": "two places",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Paris"}}},
                {"function": {"name": "time", "arguments": {}}},
                {"id": "theirs", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
            ],
        },
        {"role": "tool", "tool_name": "time", "content": "noon"},
        {"role": "tool", "content": "rain"},
        {"role": "tool", "name": "weather", "content": "sun"},
        {"role": "tool", "content": "nobody has asked"},
        {"role": "tool", "tool_call_id": "said", "content": "as it says"},
    )
    calls = conversation[1]["tool_calls"]
    assert [(call["id"], call["type"], call["function"]["name"]) for call in calls] == [
        ("call_0", "function", "weather"),
        ("call_1", "function", "time"),
        ("theirs", "function", "weather"),
    ]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"city": "Paris"}, {}, {"city": "Rome"}]
    assert conversation[1]["reasoning_content"] == "two places"
    assert [result.get("tool_call_id") for result in conversation[2:]] == ["call_1", "call_0", "theirs", None, "said"]
    assert conversation[2]["name"] == "time"


@pytest.mark.parametrize("function", [None, {}, [], {"name": 5}, {"name": None}])
def test_a_tool_needs_a_name(function: object) -> None:
    with pytest.raises(BadRequest, match="'tools'"):
        chat(messages=[], tools=[{"type": "function", "function": function}])


def test_what_repeats_can_be_looked_for_in_all_of_the_text() -> None:
    assert sampling({"repeat_last_n": -1}) == {"repeat_last_n": 1 << 17}


def test_tools_keep_their_bytes() -> None:
    function = b'{"name": "f", "odd": 1.50}'
    body = b'{"messages":[],"tools":[{"function":%b}]}' % function  # some clients leave its type out
    assert b'"tools":[{"type":"function","function":%b}]' % function in chat_call("m", read(body, ChatWish)).body
    assert chat(messages=[], tools=[TOOL])["tools"] == [TOOL]
    assert "tools" not in chat(messages=[], tools=[])


@pytest.mark.parametrize(
    ("think", "fields"),
    [
        (True, {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}),
        (False, {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        (
            "low",
            {
                "reasoning_effort": "low",
                "chat_template_kwargs": {"enable_thinking": True, "thinking": True, "reasoning_effort": "low"},
            },
        ),
    ],
)
def test_whether_and_how_much_to_think(think: object, fields: dict[str, Any]) -> None:
    asked = chat(messages=[], think=think)
    assert {key: asked[key] for key in asked.keys() - {"model", "stream", "messages"}} == fields


def test_formats() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert chat(format="json")["response_format"] == {"type": "json_object"}
    assert chat(format=schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
    assert "response_format" not in chat(format="")
    assert generate(prompt="x", raw=True, format=schema)[1]["json_schema"] == schema
    assert generate(prompt="x", raw=True, format="json")[1]["json_schema"] == {"type": "object"}


def test_a_prompt_is_what_a_user_says_after_the_system() -> None:
    path, asked = generate(prompt="hi", system="be short", images=[PNG], template="{{ .Prompt }}", context=[1, 2])
    assert path == "/v1/chat/completions"
    assert asked["messages"] == [
        {"role": "system", "content": "be short"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
    ]
    assert asked.keys() == {"model", "stream", "messages"}


def test_a_raw_prompt_goes_without_a_template() -> None:
    path, asked = generate(prompt="1 + 1 =", raw=True, system="not used", logprobs=True, options={"num_predict": 3})
    assert path == "/v1/completions"
    assert asked == {"model": "m", "stream": False, "prompt": "1 + 1 =", "logprobs": 1, "max_tokens": 3}
    with pytest.raises(BadRequest, match="images"):
        generate(prompt="x", raw=True, images=[PNG])


def test_a_suffix_is_a_gap_to_fill() -> None:
    path, asked = generate(prompt="def f(", suffix="return 1", options={"num_predict": 9, "temperature": 0})
    assert path == "/infill"
    assert asked == {
        "model": "m",
        "stream": False,
        "input_prefix": "def f(",
        "input_suffix": "return 1",
        "n_predict": 9,
        "temperature": 0,
    }


def test_how_likely_tokens_were_is_asked_for() -> None:
    asked = chat(messages=[], logprobs=True, top_logprobs=4)
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 4)
    assert "logprobs" not in chat(messages=[], logprobs=False, top_logprobs=4)


def test_texts_for_vectors() -> None:
    path, body = embed_call("m", ["a", "b"])
    assert path == b"/v1/embeddings"
    assert json.loads(body) == {"model": "m", "input": ["a", "b"], "encoding_format": "float"}


def test_options_become_what_model_servers_call_them() -> None:
    same: dict[str, Any] = {
        "temperature": 0.5,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.05,
        "typical_p": 0.7,
        "repeat_penalty": 1.1,
        "repeat_last_n": 64,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "seed": 42,
        "stop": ["\n", "user:"],
        "mirostat": 1,
        "mirostat_tau": 0.8,
        "mirostat_eta": 0.6,
    }
    loading = {"num_ctx": 8192, "num_gpu": 1, "num_batch": 2, "main_gpu": 0, "use_mmap": True, "num_thread": 8}
    passed_over: dict[str, Any] = {"tfs_z": 0.5, "penalize_newline": True, "numa": False, "new": {}, **loading}
    assert sampling({**same, **passed_over, "num_keep": 5, "num_predict": 100}) == {
        **same,
        "n_keep": 5,
        "max_tokens": 100,
    }
    assert sampling(None) == sampling({"top_p": None, "num_predict": -1}) == sampling({"num_predict": -2}) == {}
    assert sampling({"top_k": 40.0, "stop": "."}) == {"top_k": 40, "stop": ["."]}


@pytest.mark.parametrize(
    "options",
    [{"temperature": "hot"}, {"top_k": True}, {"seed": []}, {"seed": 10**30}, {"stop": [1]}, {"stop": 5}],
)
def test_options_of_other_types_are_the_clients_error(options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="option"):
        sampling(options)
