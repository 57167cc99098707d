"""A sample of every format is read and cut by every chunker, without a network and without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from polyport_gateway.knowledge.readers import readers
from tests.support.machine import ROOT

PROGRAM = """
import json, sys

LEFT_OUT = ("torch", "transformers", "tensorflow", "jax")


class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LEFT_OUT:
            raise ImportError(f"{name} is not to be needed")


def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        reached.append(event)
        raise PermissionError(f"no network here: {event} {arguments[1:]}")


reached = []
sys.meta_path.insert(0, Refusing())
sys.addaudithook(refuse)
for name in LEFT_OUT:
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} could be imported")

from polyport_gateway.knowledge.readers import read, readers
from tests.unit.knowledge.chunkers.cases import cases
from tests.unit.knowledge.readers.samples import sample

found = {}
steps = cases("estimate")
for kind in sorted(readers()):
    made = sample(kind)
    if made is None:
        continue
    document = read(*made).document
    found[kind] = {
        "blocks": len(document.blocks),
        "chunks": {name: len(step.chunk(document)) for name, step in steps.items()},
        "text": bool(document.text),
    }
print(json.dumps({"found": found, "reached": reached, "loaded": sorted(set(LEFT_OUT) & set(sys.modules))}))
"""


def test_all_of_it_works_without_network_and_without_torch():
    environment = {key: value for key, value in os.environ.items() if not key.endswith(("_KEY", "_TOKEN"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["reached"] == []
    assert told["loaded"] == []
    assert set(told["found"]) <= set(readers())
    assert {"csv", "docx", "eml", "epub", "html", "markdown", "msg", "text", "xlsx", "zip"} <= set(told["found"])
    for kind, result in told["found"].items():
        assert result["blocks"] > 0, kind
        if result["text"]:
            assert [name for name, count in result["chunks"].items() if not count] == [], kind
