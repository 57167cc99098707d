"""Documents as a capability: files read and cut by a pool of processes, and the tools made of it."""
