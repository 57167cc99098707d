"""One of everything, without a model, a key or a network: `polyport serve examples/quickstart.py`."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from polyport import Answer, App, Citation, Context

app = App("quickstart", instructions="Small tools to try Polyport with.")


@app.function(annotations={"read_only": True, "idempotent": True})
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


class TextStatistics(BaseModel):
    """What a text is made of."""

    characters: int = Field(description="All characters, spaces and punctuation too.")
    chinese: int = Field(description="Chinese characters.")
    words: int = Field(description="Words in other scripts, and numbers.")
    reading_minutes: float = Field(description="At 400 Chinese characters or 240 words a minute.")


@app.function(annotations={"read_only": True, "idempotent": True})
def count_words(text: str) -> TextStatistics:
    """Count the words of a text, Chinese and other scripts alike.

    Args:
        text: The text, in any mixture of languages.
    """
    chinese = len(re.findall(r"[\u3400-\u4dbf\u4e00-\u9fff]", text))
    words = len(re.findall(r"[^\W\u3400-\u4dbf\u4e00-\u9fff]+", text))
    minutes = round(chinese / 400 + words / 240, 2)
    return TextStatistics(characters=len(text), chinese=chinese, words=words, reading_minutes=minutes)


@app.function(timeout=60, annotations={"read_only": True})
async def countdown(steps: Annotated[int, Field(ge=1, le=20)], ctx: Context, pause_s: float = 0.05) -> str:
    """Count down, reporting progress at each step.

    Args:
        steps: From which number to count.
        pause_s: Seconds between two numbers.
    """
    for done in range(steps):
        await ctx.progress(done + 1, steps, f"{steps - done} …")
        await asyncio.sleep(pause_s)
    return "lift-off"


# Answers from the documents in the folder, each sentence with the place that it rests on; no model is needed for it.
app.knowledge(
    "handbook",
    sources=[Path(__file__).with_name("handbook")],
    description="A small company's handbook: leave, departments, travel, equipment, security. 公司差旅制度。",
)


NOTES = {
    "parcels": "Parcels are at the front desk from ten o'clock.",
    "keys": "Keys are handed out against a signature.",
    "lunch": "The canteen is open from half past eleven to two.",
}


@app.function("lookup", annotations={"read_only": True})
def look_up(topic: Literal["parcels", "keys", "lunch"]) -> str:
    """Look up one note of the front desk."""
    return NOTES[topic]


@app.pipeline
async def desk(question: str) -> AsyncIterator[str | Answer]:
    """Answer a question from the front desk's notes, with its sources."""
    found = [topic for topic in NOTES if topic in question.casefold()]
    if not found:
        yield f"The front desk has no note on that; it has notes on {', '.join(NOTES)}."
    for word in re.findall(r"\s*\S+", "\n".join(NOTES[topic] for topic in found)):
        yield word
    yield Answer("", citations=[Citation(topic, url=f"desk://{topic}", text=NOTES[topic]) for topic in found])


# The echo engine answers with what it is told, so this starts with no model. A real one is one line too:
# see examples/upstream_openai.py.
app.model("parrot", engine="echo", description="Repeats what it is told; for trying things out.")

app.agent("helper", model="parrot", tools=["add", "lookup", "handbook"], instructions="Use the tools to answer.")


@app.resource("desk://{topic}", complete={"topic": lambda typed: [t for t in NOTES if t.startswith(typed)]})
def desk_note(topic: str) -> str:
    """One note of the front desk."""
    return NOTES[topic]


@app.prompt
def summarise(text: str, language: str = "English") -> str:
    """Ask for a summary."""
    return f"Summarise the following in {language}, in three sentences at most:\n\n{text}"


if __name__ == "__main__":
    app.serve()
