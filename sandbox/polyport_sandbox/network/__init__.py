"""A sandbox's only way out: the proxy, its allow-list, and how strictly both are read."""
