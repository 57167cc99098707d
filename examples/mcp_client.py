"""Call the quickstart as an MCP server, with the official SDK's client.

polyport serve examples/quickstart.py
python examples/mcp_client.py
"""

import asyncio
import sys

from mcp import Client


async def main(url: str = "http://127.0.0.1:8400") -> None:
    async with Client(f"{url}/mcp") as client:
        tools = await client.list_tools()
        print("tools:", ", ".join(tool.name for tool in tools.tools))

        result = await client.call_tool("add", {"a": 1, "b": 2})
        print("add:", result.structured_content)

        result = await client.call_tool(
            "handbook", {"question": "Who decides whether customers are told of an incident?"}
        )
        answer = result.structured_content
        print(
            "handbook:",
            answer["text"],
            "from",
            answer["citations"][0]["source"],
            "page",
            answer["citations"][0]["page"],
        )

        async def show(progress: float, total: float | None, message: str | None) -> None:
            print(f"  {progress:g} of {total:g}: {message}")

        result = await client.call_tool("countdown", {"steps": 3}, progress_callback=show)
        print("countdown:", result.structured_content)

        page = await client.read_resource("desk://parcels")
        print("resource:", page.contents[0].text)

        prompt = await client.get_prompt("summarise", {"text": "A long story.", "language": "Chinese"})
        print("prompt:", prompt.messages[0].content.text.splitlines()[0])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
