"""What people write, and what is meant."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.pull.reference import Reference, is_safe_path, parse
from claracore.errors import BadRequest

REPO = "bartowski/Qwen_Qwen3-8B-GGUF"
FILE = "Qwen_Qwen3-8B-Q4_K_M.gguf"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (REPO, Reference(REPO)),
        (f"  {REPO}/ ", Reference(REPO)),
        (f"{REPO}:Q4_K_M", Reference(REPO, "Q4_K_M")),
        (f"{REPO}:q8_0", Reference(REPO, "q8_0")),
        (f"{REPO}:latest", Reference(REPO)),
        (f"{REPO}@v1.0:Q6_K", Reference(REPO, "Q6_K", revision="v1.0")),
        (f"{REPO}@refs/pr/3", Reference(REPO, revision="refs/pr/3")),
        (f"{REPO}/{FILE}", Reference(REPO, file=FILE)),
        (f"{REPO}:{FILE}", Reference(REPO, file=FILE)),
        (f"{REPO}/BF16/{FILE}", Reference(REPO, file=f"BF16/{FILE}")),
        (f"{REPO}@main/{FILE}", Reference(REPO, file=FILE)),
        (f"hf.co/{REPO}:Q4_K_M", Reference(REPO, "Q4_K_M")),
        (f"huggingface.co/{REPO}", Reference(REPO)),
        (f"hf://{REPO}/{FILE}", Reference(REPO, file=FILE)),
        (f"https://huggingface.co/{REPO}", Reference(REPO)),
        (f"https://huggingface.co/{REPO}?show_file_info=x#y", Reference(REPO)),
        (f"https://huggingface.co/{REPO}/tree/main", Reference(REPO)),
        (f"https://huggingface.co/{REPO}/blob/main/{FILE}", Reference(REPO, file=FILE)),
        (f"https://huggingface.co/{REPO}/resolve/main/{FILE}?download=true", Reference(REPO, file=FILE)),
        (
            f"https://huggingface.co/{REPO}/resolve/abc/a%20b/{FILE}",
            Reference(REPO, file=f"a b/{FILE}", revision="abc"),
        ),
        (f"https://huggingface.co/{REPO}/blob/refs/pr/2/{FILE}", Reference(REPO, file=FILE, revision="refs/pr/2")),
        (f"HTTPS://HuggingFace.co/{REPO}", Reference(REPO)),
        (f"-hf {REPO}:Q8_0", Reference(REPO, "Q8_0")),
        (f"llama-server -hf {REPO}:Q8_0 -c 4096 --jinja", Reference(REPO, "Q8_0")),
        (f"llama-cli --hf-repo {REPO} --hf-file {FILE}", Reference(REPO, file=FILE)),
        (f"llama-server --hf-repo={REPO} -hff {FILE}", Reference(REPO, file=FILE)),
        (f"ollama run hf.co/{REPO}:Q4_K_M", Reference(REPO, "Q4_K_M")),
        (f"http://hub.lan:8080/{REPO}/resolve/main/{FILE}", Reference(REPO, file=FILE)),
    ],
)
def test_what_is_meant(text: str, meant: Reference) -> None:
    assert parse(text, hosts=["hub.lan:8080"]) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ORG/REPO"),
        ("qwen3", "the organisation is missing"),
        ("a/b/c", "names no model"),
        ("../b", "'..' is no name"),
        ("a/..", "no name"),
        ("a/b:", "names no model"),
        ("a/b:Q4/K", "names no model"),
        ("a/b/../../x.gguf", "cannot be a file here"),
        ("https://huggingface.co/a/b/resolve/main/..%2f..%2fx.gguf", "cannot be a file here"),
        ("https://huggingface.co/a/b/resolve/main/config.json", r"only .gguf files"),
        ("https://evil.example/a/b", "evil.example is not the hub"),
        ("https://huggingface.co.evil.example/a/b", "is not the hub"),
        ("https://huggingface.co@evil.example/a/b", "evil.example is not the hub"),
        ("file:///etc/passwd", "is not the hub"),
        ("https://[::1/a/b", "names no model"),
        ("-hf", "names no model"),
        ("llama-server -m x.gguf", "names no model"),
        ("rm -rf / a/b", "names no model"),
        ("a/b@..", "no revision"),
        ('-hf "a/b', "quotation"),
        ("x" * 5000, r"xxx\.\.\."),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse(text)


@given(st.text(max_size=200) | st.from_regex(r"[a-z./:@ -]{1,60}", fullmatch=True))
def test_any_text_is_a_reference_or_one_error(text: str) -> None:
    try:
        found = parse(text)
    except BadRequest:
        return
    assert found.repo.count("/") == 1
    assert ".." not in found.repo
    assert found.file is None or is_safe_path(found.file)
    assert parse(str(found)) == found


NAME = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._]{0,10}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: ".." not in name and not name.lower().endswith(".gguf")
)


@given(NAME, NAME, st.sampled_from(["", ":Q4_K_M", ":q8_0", "/x-Q4.gguf", "@v1", "@v1:IQ2_M"]))
def test_every_spelling_means_the_same(org: str, name: str, rest: str) -> None:
    plain = parse(f"{org}/{name}{rest}")
    assert plain.repo == f"{org}/{name}"
    for prefix in ("hf.co/", "hf://", "https://huggingface.co/", "-hf ", "ollama run hf.co/"):
        assert parse(f"{prefix}{org}/{name}{rest}") == plain


@given(st.text(max_size=80))
def test_a_safe_path_stays_where_it_is_put(path: str) -> None:
    if is_safe_path(path):
        parts = PurePosixPath(path).parts
        assert not PurePosixPath(path).is_absolute()
        assert not {"..", "."} & set(parts)
        assert "/".join(parts) == path
        assert not set(path) & set('\\:\0*?"<>|')
