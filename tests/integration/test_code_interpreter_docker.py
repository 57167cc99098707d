"""The code interpreter of `/v1/responses` with real Python in Docker's sandbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from polyport import App
from polyport.testing import ScriptedEngine, gateway
from polyport.testing.engine import ToolCall
from tests.support.wires import eventually

pytestmark = pytest.mark.requires("docker", "sandbox")

AUTO: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
OUTPUTS: Any = ["code_interpreter_call.outputs"]
PICTURE = """
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
class Dot:
    def _repr_png_(self):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        return b"\\x89PNG\\r\\n\\x1a\\n" + head + chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b"")
Dot()
"""


def play(request: Any) -> Any:
    """Run each user message as code, then say what came of it."""
    last = max(place for place, message in enumerate(request.messages) if message.role == "user")
    answered = [message.content for message in request.messages[last:] if message.role == "tool"]
    said = request.messages[last].content
    if not answered:
        return ToolCall("code_interpreter", {"code": said})
    return f"it said: {answered[0]}"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = App("house")
    app.sandbox("docker", pool_size=1, gvisor="never", limits={"wall_s": 2}, max_limits={"wall_s": 2})
    app.model("model", engine=ScriptedEngine(*[play] * 200))
    with gateway(app) as running:
        yield running.url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made
        for container in made.containers.list(limit=100):
            made.containers.delete(container.id)


def run(client: openai.OpenAI, code: str, after: Any = None, **options: Any) -> Any:
    previous = after.id if after is not None else None
    options = {"tools": [AUTO], "include": OUTPUTS, "previous_response_id": previous, **options}
    return client.responses.create(model="model", input=code, **options)


def logs(answer: Any) -> str:
    return "".join(output.logs for output in answer.output[0].outputs if output.type == "logs")


def test_variables_and_files_live_on(client: openai.OpenAI) -> None:
    first = run(client, "x = 20\nopen('/mnt/data/a.csv', 'w').write('1,2')\nprint('written')\nx + 1")
    assert logs(first) == "written\n21\n"
    second = run(client, "import os\nprint(x * 2, os.listdir('.'), open('a.csv').read())", after=first)
    assert logs(second) == "40 ['a.csv'] 1,2\n"
    container = second.output[0].container_id
    assert container == first.output[0].container_id
    (file,) = client.containers.files.list(container)
    assert (file.path, file.source, file.bytes) == ("/mnt/data/a.csv", "assistant", 3)
    assert abs(file.created_at - time.time()) < 60


def test_what_was_uploaded_is_the_users_until_it_is_written_again(client: openai.OpenAI) -> None:
    container = client.containers.create(name="mine").id
    file = client.containers.files.create(container, file=("in.csv", b"a,b"))
    tool: Any = {"type": "code_interpreter", "container": container}
    answer = run(client, "print(open('/mnt/data/in.csv').read())", tools=[tool])
    assert logs(answer) == "a,b\n"
    assert client.containers.files.retrieve(file.id, container_id=container).source == "user"
    run(client, "open('/mnt/data/in.csv', 'w').write('c,d')", tools=[tool])
    assert client.containers.files.retrieve(file.id, container_id=container).source == "assistant"
    assert client.containers.files.content.retrieve(file.id, container_id=container).content == b"c,d"


def test_a_picture(client: openai.OpenAI) -> None:
    answer = run(client, PICTURE)
    (image,) = [output for output in answer.output[0].outputs if output.type == "image"]
    assert image.url.startswith("data:image/png;base64,iVBORw0KGgo")
    (file,) = client.containers.files.list(answer.output[0].container_id)
    assert f"sandbox:{file.path}" in answer.output_text
    # What the model said of it is a citation of the file.
    assert answer.output[-1].content[0].annotations[0].file_id == file.id


def test_what_goes_wrong_in_the_code(client: openai.OpenAI) -> None:
    failed = run(client, "print('before')\n1 / 0")
    assert failed.output[0].status == "completed"
    assert logs(failed).startswith("before\nTraceback")
    assert logs(failed).count("ZeroDivisionError") == 1
    slow = run(client, "import time\nkept = 1\nprint('begun', flush=True)\ntime.sleep(30)", after=failed)
    assert logs(slow).startswith("begun\n")
    assert "longer than 2 s" in slow.output_text
    assert slow.output[0].container_id == failed.output[0].container_id
    assert logs(run(client, "print('still here')", after=slow)) == "still here\n"


def test_there_is_no_network(client: openai.OpenAI) -> None:
    answer = run(client, "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)")
    assert "OSError" in logs(answer)


def test_a_client_that_goes_away_ends_the_code(client: openai.OpenAI, url: str) -> None:
    container = client.containers.create(name="mine").id
    tool: Any = {"type": "code_interpreter", "container": container}
    code = "import time\nopen('begun', 'w').close()\ntime.sleep(1.5)\nopen('ended', 'w').close()"
    body = {"model": "model", "input": code, "tools": [tool], "stream": True}

    def leave() -> None:
        with httpx.stream("POST", f"{url}/v1/responses", json=body, timeout=20) as answer:
            for line in answer.iter_lines():
                if "interpreting" in line:
                    return

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join(15)
    assert not thread.is_alive()

    def names() -> set[str]:
        return {file.path for file in client.containers.files.list(container)}

    # Listing waits for its turn: once it is answered, nothing runs any more.
    began = time.monotonic()
    names()
    assert time.monotonic() - began < 1.2
    time.sleep(2)
    assert "/mnt/data/ended" not in names()
    eventually(lambda: client.containers.retrieve(container).status == "running")
