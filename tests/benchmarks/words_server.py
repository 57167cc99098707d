"""An embeddings server that costs next to nothing: a text's vector is the sum of its words' random ones.

python tests/benchmarks/words_server.py PORT
"""

from __future__ import annotations

import base64
import re
import sys
import zlib
from functools import cache

import numpy as np
import orjson
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DIMENSIONS = 384
_WORD = re.compile(r"[a-z0-9]{3,}")


@cache
def of_word(word: str) -> NDArray[np.float32]:
    """Return a word's vector, the same each time."""
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIMENSIONS).astype(np.float32)


def of_text(text: str) -> NDArray[np.float32]:
    """Return a text's vector, of length 1."""
    total = sum((of_word(word) for word in set(_WORD.findall(text.lower()))), np.zeros(DIMENSIONS, np.float32))
    return np.asarray(total / (np.linalg.norm(total) or 1), np.float32)


async def embeddings(request: Request) -> Response:
    """Answer as OpenAI does."""
    asked = orjson.loads(await request.body())
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    packed = asked.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = of_text(text)
        given = base64.b64encode(vector.tobytes()).decode() if packed else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": given})
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    body = {"object": "list", "data": data, "model": asked["model"], "usage": usage}
    return Response(orjson.dumps(body), media_type="application/json")


def health(request: Request) -> Response:
    """Say that it is there."""
    return Response("ok")


app = Starlette(routes=[Route("/v1/embeddings", embeddings, methods=["POST"]), Route("/health", health)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
