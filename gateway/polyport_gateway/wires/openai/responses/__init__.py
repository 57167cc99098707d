"""OpenAI's ``/v1/responses``: the same calls as everywhere, in items and with a memory."""
