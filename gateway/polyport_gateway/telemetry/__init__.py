"""What is seen: logs and request ids."""
