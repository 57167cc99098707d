"""Optional capabilities, loaded through entry points only."""
