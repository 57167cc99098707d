"""``polyport docs``: read files as documents, cut them into chunks, and say what can be read. No gateway is needed."""

from polyport_gateway.cli.docs.commands import app

__all__ = ["app"]
