from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from polyport_sandbox import InvalidRunError
from polyport_sandbox.images import RECIPES, recipe_named
from polyport_sandbox.images import recipe as recipes
from polyport_sandbox.images.build import is_up_to_date, parse_tag
from polyport_sandbox.images.recipe import recipe_of, split_packages

MINIMAL = recipe_named("minimal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" , ,", ()),
        ("numpy,pandas,matplotlib", ("numpy", "pandas", "matplotlib")),
        ("pandas>=2,<3, numpy", ("pandas>=2,<3", "numpy")),
        ("a!=1,!=2,b~=1", ("a!=1,!=2", "b~=1")),
        ("uvicorn[standard]==0.34", ("uvicorn[standard]==0.34",)),
    ],
)
def test_a_list_of_packages_is_taken_apart(text: str, expected: tuple[str, ...]):
    assert split_packages(text) == expected
    assert MINIMAL.with_more(python=expected).python == expected


@pytest.mark.parametrize(
    "name",
    [
        "--index-url=http://evil",
        "-r",
        "../x",
        "/etc",
        "git+https://x/y",
        "x @ file:///y",
        "http://x",
        "a b",
        "a;b",
        "",
        "a>",
    ],
)
def test_what_is_no_python_package_is_refused(name: str):
    with pytest.raises(InvalidRunError, match="is no Python package"):
        MINIMAL.with_more(python=[name])


@pytest.mark.parametrize("name", ["--arch=x", "Big", "a,b", "x", "", "../y", "a b", "a\n"])
def test_what_is_no_debian_package_is_refused(name: str):
    with pytest.raises(InvalidRunError, match="is no Debian package"):
        MINIMAL.with_more(debian=[name])


@pytest.mark.parametrize("suite", ["--x", "../etc", "a/b", "Bookworm"])
def test_what_is_no_release_is_refused(suite: str):
    with pytest.raises(InvalidRunError, match="is no Debian release"):
        MINIMAL.with_more(suite=suite)


def test_an_unknown_image_is_answered_with_those_there_are():
    with pytest.raises(InvalidRunError, match="no image 'big'; there are: data, minimal"):
        recipe_named("big")


def test_the_data_image_has_all_that_the_minimal_one_has():
    data = RECIPES["data"]
    assert set(MINIMAL.debian) < set(data.debian)
    assert {"numpy", "pandas", "matplotlib"} <= set(data.python)


@pytest.mark.parametrize(
    "change", [{"suite": "trixie"}, {"debian": ["ripgrep"]}, {"python": ["numpy"]}, {"python": ["numpy<2"]}]
)
def test_what_goes_in_decides_the_fingerprint(change: dict[str, Any]):
    assert MINIMAL.with_more(**change).fingerprint != MINIMAL.fingerprint


def test_order_and_name_do_not_decide_the_fingerprint():
    a = MINIMAL.with_more(python=["numpy", "pandas", "numpy"])
    b = dataclasses.replace(MINIMAL.with_more(python=["pandas", "numpy"]), name="other")
    assert a.fingerprint == b.fingerprint


def test_an_image_is_known_again_by_its_labels(monkeypatch: pytest.MonkeyPatch):
    recipe = MINIMAL.with_more(python=["pandas>=2,<3"], debian=["ripgrep"])
    image = {"Config": {"Labels": recipe.labels()}}
    assert recipe_of(recipe.labels()) == (recipe, recipe.fingerprint)
    assert is_up_to_date(image) is True
    assert is_up_to_date(image, recipe) is True
    assert is_up_to_date(image, MINIMAL) is False
    monkeypatch.setattr(recipes, "_FORMAT", 10_000)
    assert is_up_to_date(image) is False


@pytest.mark.parametrize(
    "image", [{}, {"Config": None}, {"Config": {"Labels": None}}, {"Config": {"Labels": {"a": "b"}}}]
)
def test_an_image_that_no_recipe_made_is_neither_old_nor_new(image: dict[str, Any]):
    assert is_up_to_date(image) is None


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("a", ("a", "latest")),
        ("polyport/sandbox:minimal", ("polyport/sandbox", "minimal")),
        ("registry.example:5000/team/box", ("registry.example:5000/team/box", "latest")),
        ("registry.example:5000/team/box:1.2_x", ("registry.example:5000/team/box", "1.2_x")),
    ],
)
def test_an_image_s_name_is_taken_apart(tag: str, expected: tuple[str, str]):
    assert parse_tag(tag) == expected


@pytest.mark.parametrize("tag", ["", ":", "A:b", "a:", "a:b c", "a b", "-a", "a:.x", "a\n", "a@sha256:00"])
def test_what_docker_would_refuse_as_a_name_is_refused_before(tag: str):
    with pytest.raises(InvalidRunError, match="is no image's name"):
        parse_tag(tag)
