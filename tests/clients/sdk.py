"""Drives an MCP server on standard streams with the official Python SDK and prints what it saw as one JSON object.

    sdk.py MODE COMMAND [ARGUMENT...]

MODE is `session` (both SDKs) or what the current SDK's Client takes: `auto`, `legacy` or a protocol version.
"""

import asyncio
import json
import sys
from importlib.metadata import version


async def drive(client, opened):
    progress = []

    async def on_progress(done, total, message):
        progress.append([done, total, message])

    tools = await client.list_tools()
    status = await client.call_tool("lab_status", {})
    checked = await client.call_tool("check_now", {}, progress_callback=on_progress)
    explained = await client.call_tool("explain", {"topic": "command_not_found"})
    unknown = await client.call_tool("explain", {"topic": "nonsense"})
    resources = await client.list_resources()
    config = await client.read_resource(resources.resources[1].uri)
    of = lambda result: result.model_dump(by_alias=True, mode="json")
    return {
        "sdk": version("mcp"),
        "opened": opened,
        "tools": [tool.name for tool in tools.tools],
        "status": of(status),
        "checked": of(checked),
        "explained": of(explained),
        "unknown": of(unknown),
        "progress": progress,
        "resources": [str(resource.uri) for resource in resources.resources],
        "config": config.contents[0].text,
    }


async def session(server):
    from mcp import ClientSession, stdio_client

    async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
        opened = (await client.initialize()).model_dump(by_alias=True, mode="json")
        return await drive(client, opened["protocolVersion"])


async def whole(server, mode):
    from mcp import Client, stdio_client

    async with Client(stdio_client(server), mode=mode) as client:
        return await drive(client, client.protocol_version)


async def main(mode, command, *arguments):
    import os

    from mcp import StdioServerParameters

    server = StdioServerParameters(command=command, args=list(arguments), env=dict(os.environ))
    print(json.dumps(await (session(server) if mode == "session" else whole(server, mode))))


asyncio.run(main(*sys.argv[1:]))
