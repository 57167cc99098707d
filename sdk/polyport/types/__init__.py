"""Wire types: what OpenAI's and Polyport's own endpoints take and give, each defined once."""
