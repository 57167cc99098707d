"""Files that callers keep at the gateway: what knowledge, batches and training are made of."""
