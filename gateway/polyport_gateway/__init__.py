"""The Polyport gateway: serves an `polyport.App` as MCP, OpenAI, REST and in-process."""
