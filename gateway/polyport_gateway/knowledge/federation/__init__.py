"""Many knowledge bases as one: which of them a question is for, asked side by side, one ranking of what they find."""
