"""Does durable jobs until it is killed or told to stop; each begin and end is a line in a file that all share."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from polyport_gateway.jobs.context import JobContext
from polyport_gateway.jobs.durable import JobRunner
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.jobs import JobStore


async def work(url: str, file: str) -> None:
    """Do jobs of the kind ``work``: count to ``steps``, with a checkpoint at each."""
    out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(word: str, context: JobContext) -> None:
        os.write(out, f"{word} {context.id} {context.job.lane} {os.getpid()} {context.state or 0}\n".encode())

    async def handler(context: JobContext) -> int:
        say("begin", context)
        for step in range(context.state or 0, context.input["steps"]):
            await asyncio.sleep(context.input["pause_s"])
            await context.checkpoint(step + 1)
            context.progress(step + 1, context.input["steps"])
        say("end", context)
        return int(context.state or 0)

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Database(url) as database:
        runner = JobRunner(JobStore(database), concurrency=8, poll_s=0.1, lease_s=30)
        runner.register("work", handler)
        await runner.start()
        print("ready", flush=True)
        await stopped.wait()
        await runner.stop()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
