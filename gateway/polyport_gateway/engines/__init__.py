"""Engines: what stands behind a model. Built-in and third-party ones arrive through `polyport.engines`."""
