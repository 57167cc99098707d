"""From files to indexes: sources, keywords, builds, and the jobs that bring a base up to date."""
