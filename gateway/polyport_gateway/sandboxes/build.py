"""Which capabilities the sandbox adds to a catalog."""

from __future__ import annotations

from polyport_gateway.catalog import Catalog
from polyport_gateway.sandboxes.code_mode import RunCodeWithTools
from polyport_gateway.sandboxes.run_code import RunCode
from polyport_gateway.sandboxes.service import RUN_CODE, SandboxService
from polyport_gateway.sandboxes.session_tools import SessionTools

__all__ = ["add_capabilities"]


def add_capabilities(catalog: Catalog, service: SandboxService) -> None:
    """Add what can be called of a sandbox that there is.

    `run_code` is there even where its tools are not shown: every run goes through it. Who may not use it may use none
    of the others.

    Raises:
        DeclarationError: The app has registered one of its names.
    """
    listed = service.plan.tools
    catalog.add(RunCode(service), listed=listed)
    if not listed:
        return
    for tool in SessionTools(service).tools():
        catalog.add(tool, needs=RUN_CODE)
    if service.plan.code_mode:
        catalog.add(RunCodeWithTools(service, catalog), needs=RUN_CODE)
