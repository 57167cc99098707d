"""What is registered: capabilities, their schemas, resources and prompts, and who may see them."""

from polyport_gateway.catalog.capability import Capability, ToolSchema
from polyport_gateway.catalog.catalog import Catalog

__all__ = ["Capability", "Catalog", "ToolSchema"]
