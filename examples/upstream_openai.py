"""A real model behind a name of your own, with an agent on top.

Any server that speaks OpenAI's protocol will do: OpenAI itself, vLLM, Ollama, or another Polyport.

    UPSTREAM_URL=https://api.openai.com/v1 UPSTREAM_MODEL=gpt-5 UPSTREAM_KEY=sk-… \
        polyport serve examples/upstream_openai.py
"""

import os

from polyport import App

app = App("upstream")


@app.function(annotations={"read_only": True})
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


app.model(
    "assistant",
    engine="openai",
    model=os.environ.get("UPSTREAM_MODEL", "gpt-5"),
    base_url=os.environ.get("UPSTREAM_URL", "https://api.openai.com/v1"),
    # The name of the variable, never the key: it is read when the gateway starts.
    api_key_env="UPSTREAM_KEY",
)
app.agent("calculator", model="assistant", tools=["add"], instructions="Use the tools for every sum.")

if __name__ == "__main__":
    app.serve()
