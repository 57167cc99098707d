"""A gateway that is killed while it takes files into a vector store: what was acknowledged is there, whole, once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import openai
import pytest

from tests.support.peers import clean_environment

SERVE = """
import sys, threading
from polyport import App
from polyport.testing import gateway
with gateway(App("killed"), data_dir=sys.argv[1]) as running:
    print(running.url, flush=True)
    threading.Event().wait()
"""


def serve(folder: Path) -> tuple[subprocess.Popen[str], openai.OpenAI]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder)], stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    return process, openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)


def kill(process: subprocess.Popen[str], client: openai.OpenAI) -> None:
    client.close()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_acknowledged_file_is_there_once(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    store, batches, files = "", [], {}
    for turn in range(5):
        process, client = serve(tmp_path)
        try:
            if not store:
                store = client.vector_stores.create(name="killed").id
            ids = []
            for number in range(6):
                words = f"secret{turn}x{number}"
                text = f"# 文 {turn} {number}\n\nThe word is {words}.\n" + "Filling. " * 3000
                ids.append(client.files.create(file=(f"{words}.md", text.encode()), purpose="user_data").id)
                files[ids[-1]] = words
            batches.append(client.vector_stores.file_batches.create(store, file_ids=ids).id)
            time.sleep(0.2 * turn)
        finally:
            kill(process, client)
    process, client = serve(tmp_path)
    try:
        for batch in batches:
            done = client.vector_stores.file_batches.poll(batch, vector_store_id=store, poll_interval_ms=200)
            assert (done.status, done.file_counts.completed) == ("completed", 6)
        listed = Counter(file.id for file in client.vector_stores.files.list(store, limit=100))
        assert listed == Counter(dict.fromkeys(files, 1))
        for file, words in files.items():
            hits = [hit for hit in client.vector_stores.search(store, query=words) if words in hit.content[0].text]
            assert {hit.file_id for hit in hits} == {file}
            assert words in client.files.content(file).text
    finally:
        kill(process, client)
