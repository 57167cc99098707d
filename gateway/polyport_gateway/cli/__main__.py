"""``python -m polyport_gateway.cli``."""

from polyport_gateway.cli import main

main()
