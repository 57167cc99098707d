"""The Polyport mini sandbox: not in this release; `polyport_sandbox` is reserved for it."""
