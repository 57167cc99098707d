"""The tool loop, over Calls."""
