"""Untrusted code as a capability: the sandbox that the gateway opens, and the tools made of it."""
