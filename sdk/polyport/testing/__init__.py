"""For users' own tests: a scripted engine and a gateway in this process."""
