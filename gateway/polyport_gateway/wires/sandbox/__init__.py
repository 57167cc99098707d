"""The shapes of other sandboxes, served: their own clients work against a gateway with another URL and key."""
