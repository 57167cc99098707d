"""Test an app of your own, offline: `pytest examples/testing_your_app.py`."""

from collections.abc import Iterator

import pytest

from polyport import App, Client, InvalidArgumentsError, NotFoundError
from polyport.testing import gateway

app = App("shop")


@app.function
def price(net: float, vat_percent: float = 19.0) -> float:
    """Add value-added tax to a net price."""
    return round(net * (1 + vat_percent / 100), 2)


# The echo engine calls the tools that a message spells out, so an agent is tested with no model.
app.model("parrot", engine="echo")
app.agent("clerk", model="parrot", tools=["price"])


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A real gateway on a free port, and a client of it."""
    with gateway(app) as running, Client(running.url) as client:
        yield client


def test_price(client: Client) -> None:
    assert client.functions.call("price", net=100) == 119.0


def test_wrong_arguments_are_named(client: Client) -> None:
    with pytest.raises(InvalidArgumentsError, match="net"):
        client.functions.call("price", net="a lot")


def test_unknown_names(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.functions.call("prize", net=1)


def test_the_clerk_uses_the_price(client: Client) -> None:
    answer = client.chat("clerk", '/tool price {"net": 200}')
    assert answer.choices[0].message.content == "238.0"
