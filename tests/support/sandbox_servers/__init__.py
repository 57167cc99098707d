"""Servers on loopback that speak the published APIs of hosted sandboxes, written from those, not from our clients.

They run what they are sent: in a sandbox of our own, given as a provider. `Faults` makes them as bad as a test asks.
"""
