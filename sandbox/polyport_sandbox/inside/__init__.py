"""The programs that run inside a container. The host sends them as text (`sources`) and imports none of the others."""
