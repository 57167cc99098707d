"""Where models are found, and what is said where they aren't."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from polyport.errors import ConfigurationError, MissingDependencyError
from polyport_gateway.engines import local_models
from polyport_gateway.engines.local_models import find_model, is_cross_encoder
from polyport_gateway.engines.sentence_transformers import SentenceTransformersEngine


def model_folder(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


BI = {"modules": [], "config": {"architectures": ["BertModel"]}, "tokenizer": {}}
CROSS = {"config": {"architectures": ["BertForSequenceClassification"]}, "tokenizer": {}}


def test_a_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "bge", **BI)
    assert find_model(str(folder)) == folder
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"without modules\.json or config\.json"):
        find_model(str(tmp_path / "empty"))


@pytest.mark.parametrize("listed", [True, False])
def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool) -> None:
    package = tmp_path / "some_minilm_v2"
    model_folder(package / "data" / "model", **BI)
    model_folder(package / "data" / "model" / "1_Pooling", config={})
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    if listed:
        info = tmp_path / "some_minilm_v2-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-minilm-v2\nVersion: 1.0\n")
        files = [path.relative_to(tmp_path) for path in package.rglob("*") if path.is_file()]
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_model("some-minilm-v2") == package / "data" / "model"
    assert find_model("some_minilm_v2") == package / "data" / "model"
    assert "some_minilm_v2" not in sys.modules


def test_a_package_without_a_model_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_models, "_in_hub_cache", lambda name, revision: None)
    for name in ("pytest", "no-such-model", "../nowhere", "./here", "a/b/c"):
        with pytest.raises(ConfigurationError, match="there is no model"):
            find_model(name)
    with pytest.raises(ConfigurationError, match="there is no model"):
        find_model("./here", download=True)
    assert find_model("owner/model", download=True) is None


def test_without_the_hubs_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_models, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "polyport\[sentence-transformers\]"'):
        find_model("owner/model")


def test_kinds(tmp_path: Path) -> None:
    assert not is_cross_encoder(model_folder(tmp_path / "bi", **BI))
    assert is_cross_encoder(model_folder(tmp_path / "cross", **CROSS))
    stated = {"config_sentence_transformers": {"model_type": "CrossEncoder"}}
    assert is_cross_encoder(model_folder(tmp_path / "stated", **BI, **stated))
    (tmp_path / "bi" / "config_sentence_transformers.json").write_text("{")
    with pytest.raises(ConfigurationError, match="is not JSON"):
        is_cross_encoder(tmp_path / "bi")


def test_what_an_engine_offers(tmp_path: Path) -> None:
    bi, cross = (str(model_folder(tmp_path / name, **files)) for name, files in (("bi", BI), ("cross", CROSS)))
    assert SentenceTransformersEngine(bi).operations == {"embedding"}
    assert SentenceTransformersEngine(bi, rerank="similarity").operations == {"embedding", "rerank"}
    assert SentenceTransformersEngine(cross).operations == {"rerank"}
    assert SentenceTransformersEngine(cross, task="embed").operations == {"embedding"}
    with pytest.raises(ConfigurationError, match="leave out rerank"):
        SentenceTransformersEngine(cross, rerank="similarity")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "chat"}, "task is 'chat'; choose 'embed', 'rerank'"),
        ({"rerank": True}, "rerank is True; choose 'similarity'"),
        ({"too_long": "drop"}, "too_long is 'drop'"),
        ({"dtype": "int4"}, "dtype is 'int4'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_waiting": -1}, "max_waiting is -1"),
    ],
)
def test_options(tmp_path: Path, options: dict[str, object], said: str) -> None:
    folder = str(model_folder(tmp_path / "bi", **BI))
    with pytest.raises(ConfigurationError, match=said):
        SentenceTransformersEngine(folder, **options)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SentenceTransformersEngine(str(model_folder(tmp_path / "bi", **BI)))
    monkeypatch.setattr("polyport_gateway.engines.sentence_transformers.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "polyport\[sentence-transformers\]"'):
        await engine.start()
