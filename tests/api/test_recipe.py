from __future__ import annotations

import json
import re
import shlex
import tomllib

import pytest
import yaml

from claracore.http.api.recipe import PLACES, SHELLS, Filling, Recipe, filled, filled_code, part_for, read
from claracore.http.api.recipe_shelf import GROUPS, recipes

RUDE = Filling(address="http://[::1]:5800", model='it\'s "my" $model \\ `x`', key="k'e\"y", context=4096)
ALL = pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)


def test_a_recipe_is_read() -> None:
    recipe = read(
        "vi", "title: Vi\nabout: an editor\ngroup: Editors\nkinds: chat, embedding\n\nText: a\n\n```sh\nvi\n```\n"
    )
    assert (recipe.title, recipe.about, recipe.group, recipe.kinds) == (
        "Vi",
        "an editor",
        "Editors",
        ("chat", "embedding"),
    )
    assert recipe.text == "Text: a\n\n```sh\nvi\n```\n"


@pytest.mark.parametrize(
    "written", ["no head", "title: a\n\ntext", "title: a\nabout: b\ngroup: c\nkinds: chat, cats\n\ntext"]
)
def test_what_is_no_recipe_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"recipe|kind"):
        read("bad", written)


def test_other_dollars_belong_to_the_program() -> None:
    assert filled("${model} of ${HOME} and $model", Filling(model="m")) == "m of ${HOME} and $model"


def test_a_shell_gets_its_words_whole() -> None:
    code = 'run --model ${model} -d \'{"model": "${model}"}\' last/${model}'
    words = shlex.split(filled_code("sh", code, RUDE))
    assert words == ["run", "--model", RUDE.model, "-d", json.dumps({"model": RUDE.model}), f"last/{RUDE.model}"]


def test_parts_for_other_kinds_are_left_out() -> None:
    text = "a\n<!-- chat -->\nb\n<!-- end -->\n<!-- embedding -->\nc\n<!-- end -->\nd\n"
    assert part_for(text, "chat") == "a\nb\nd\n"
    assert part_for(text, "reranker") == "a\nd\n"
    assert part_for(text, None) == "a\nb\nc\nd\n"


@ALL
def test_every_place_is_where_its_language_can_quote_it(recipe: Recipe) -> None:
    """Outside a shell, a text stands in double quotes; a number need not."""
    for block in recipe.blocks():
        if block.language in SHELLS:
            continue
        for line in block.code.splitlines():
            for found in PLACES.finditer(line):
                quotes = len(re.findall(r'(?<!\\)"', line[: found.start()]))
                assert quotes % 2 or found[1] in {"context", "output"}, f"{recipe.name}: {line}"


@ALL
def test_it_can_still_be_read_when_it_is_filled(recipe: Recipe) -> None:
    for block in recipe.blocks():
        code = filled_code(block.language, block.code, RUDE)
        assert not PLACES.search(code)
        match block.language:
            case "json":
                assert json.loads(code)
            case "toml":
                assert tomllib.loads(code)
            case "yaml":
                assert yaml.safe_load(code)
            case "python":
                compile(code, recipe.name, "exec")
            case "sh":
                assert shlex.split(code, comments=True)


@ALL
def test_it_says_what_people_ask(recipe: Recipe) -> None:
    assert recipe.group in GROUPS
    for question in ("**Model.**", "**Context.**"):
        assert question in recipe.text
    assert "${address}" in recipe.text
    assert "  " not in recipe.about
    assert not recipe.about.endswith(".")


def test_names_are_file_names_and_titles_are_different() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", recipe.name) for recipe in recipes())
    assert len({recipe.title for recipe in recipes()}) == len(recipes())


@pytest.mark.parametrize(("context", "output"), [(2048, 1024), (16384, 8192), (131072, 8192)])
def test_an_answer_leaves_half_of_the_context_for_what_is_asked(context: int, output: int) -> None:
    assert filled("${output}", Filling(context=context)) == str(output)
