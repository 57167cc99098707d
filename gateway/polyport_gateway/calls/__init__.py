"""The one way through: admit → dispatch → account."""

from polyport_gateway.calls.dispatch import Dispatcher

__all__ = ["Dispatcher"]
