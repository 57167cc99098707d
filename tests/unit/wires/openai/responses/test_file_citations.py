"""Files of a container, where a text names them."""

from __future__ import annotations

import pytest

from polyport_gateway.sandboxes.containers import ContainerFile
from polyport_gateway.wires.openai.responses.file_citations import cite_files

FILES = {
    file.path: file
    for name in ("a.csv", "a.csv.gz", "plots/p 1.png", "数据.csv", "a")
    for file in [ContainerFile(f"cfile_{name}", "cntr_1", name, 1, 0, "assistant")]
}


def cited(text: str) -> list[tuple[str, str]]:
    found = list(cite_files(text, FILES))
    assert all(one["type"] == "container_file_citation" and one["container_id"] == "cntr_1" for one in found)
    return [(one["file_id"].removeprefix("cfile_"), text[one["start_index"] : one["end_index"]]) for one in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see [it](sandbox:/mnt/data/a.csv).", [("a.csv", "sandbox:/mnt/data/a.csv")]),
        ("see /mnt/data/a.csv.", [("a.csv", "/mnt/data/a.csv")]),
        ("/mnt/data/a.csv.gz and /mnt/data/a", [("a.csv.gz", "/mnt/data/a.csv.gz"), ("a", "/mnt/data/a")]),
        ("`/mnt/data/plots/p 1.png`", [("plots/p 1.png", "/mnt/data/plots/p 1.png")]),
        ("(sandbox:/mnt/data/plots/p%201.png)", [("plots/p 1.png", "sandbox:/mnt/data/plots/p%201.png")]),
        ("在 sandbox:/mnt/data/数据.csv 中", [("数据.csv", "sandbox:/mnt/data/数据.csv")]),
        ("/mnt/data/a.csv and again /mnt/data/a.csv", [("a.csv", "/mnt/data/a.csv")] * 2),
        ("/mnt/data/a.csvx, /mnt/data/a.csv-2, /mnt/data/a/b, /tmp/mnt/data/a.csv", []),
        ("file:///mnt/data/a.csv, a.csv, /mnt/data/other.csv", []),
        ("", []),
    ],
)
def test_citations(text: str, found: list[tuple[str, str]]) -> None:
    assert cited(text) == found


def test_without_files_there_is_nothing_to_cite() -> None:
    assert list(cite_files("sandbox:/mnt/data/a.csv", {})) == []
