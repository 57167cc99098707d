"""The local provider: containers of a Docker daemon on this machine."""
