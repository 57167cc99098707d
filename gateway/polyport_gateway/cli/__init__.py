"""The `polyport` command."""
