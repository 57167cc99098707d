"""The one way through: admit → dispatch → account."""
