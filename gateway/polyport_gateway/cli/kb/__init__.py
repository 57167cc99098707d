"""``polyport kb``: make, fill, search, ask and keep knowledge bases."""

from polyport_gateway.cli.kb.commands import app

__all__ = ["app"]
