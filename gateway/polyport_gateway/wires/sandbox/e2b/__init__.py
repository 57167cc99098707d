"""E2B's sandboxes, as its ``e2b`` and ``e2b-code-interpreter`` packages ask for them."""
