# pip install aiosqlite: statements run in a thread of their own, so the event loop goes on
import asyncio
import os

import aiosqlite


async def main():
    async with aiosqlite.connect(":memory:") as db:
        await db.enable_load_extension(True)
        await db.load_extension(os.environ["REMBED_LIB"])
        await db.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", (os.environ["REMBED_URL"],))
        async with db.execute("SELECT length(rembed('local', 'The quick brown fox')) / 4") as rows:
            print((await rows.fetchone())[0])


asyncio.run(main())
