"""10,000 texts into a table with their vectors, 1,536 wide: by SQL, and as Python programs do it by hand.

usage: bench/peers.py [TEXTS], with a Python whose sqlite3 loads extensions (bench/peers-requirements.txt). REMBED_LIB is the library, by
default target/release/libsqlite_rembed.so. A reply takes 50 ms; every contender sends 256 texts a request. The contenders take
turns, and each has the median of its rounds.
"""

import array
import asyncio
import importlib.metadata
import os
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", "target/release/libsqlite_rembed.so")
COUNT = int(sys.argv[1]) if sys.argv[1:] else 10_000
WIDTH, BATCH, IN_FLIGHT, ROUNDS = 1536, 256, 8, 3
TEXTS = [f"text number {i} of the benchmark, about as long as a headline" for i in range(COUNT)]
BATCHES = [TEXTS[first:first + BATCH] for first in range(0, COUNT, BATCH)]


def store(db, vectors):
    rows = ((array.array("f", vector).tobytes(),) for vector in vectors)
    with db:
        db.executemany("INSERT INTO vectors(vector) VALUES (?)", rows)


def rembed(db, url):
    db.enable_load_extension(True)
    db.load_extension(LIB)
    db.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO texts(body) VALUES (?)", ([text] for text in TEXTS))
    db.execute("SELECT rembed_register('c', 'format', 'openai', 'model', 'm', 'cache', 'off', 'url', ?)", [url])
    rows = "SELECT embedding FROM rembed_rows('c', 'SELECT id, body FROM texts')"
    return lambda: db.execute(f"INSERT INTO vectors(vector) {rows}")


def openai_async(db, url):
    import openai

    async def all_of_them():
        slots = asyncio.Semaphore(IN_FLIGHT)
        async with openai.AsyncOpenAI(api_key="k", base_url=url) as client:

            async def embed(batch):
                async with slots:
                    reply = await client.embeddings.create(model="m", input=batch)
                return [row.embedding for row in reply.data]

            return await asyncio.gather(*map(embed, BATCHES))

    return lambda: store(db, (vector for batch in asyncio.run(all_of_them()) for vector in batch))


def openai_loop(db, url):
    import openai

    client = openai.OpenAI(api_key="k", base_url=url)
    embed = lambda batch: [row.embedding for row in client.embeddings.create(model="m", input=batch).data]
    return lambda: store(db, (vector for batch in BATCHES for vector in embed(batch)))


def langchain(db, url):
    from langchain_openai import OpenAIEmbeddings

    # What it counts tokens with is downloaded, so they are not counted.
    client = OpenAIEmbeddings(model="m", api_key="k", base_url=url, chunk_size=BATCH, check_embedding_ctx_length=False)
    return lambda: store(db, client.embed_documents(TEXTS))


def version(name):
    return f"{name} {importlib.metadata.version(name)}"


CONTENDERS = {
    "rembed_rows": rembed,
    f"{version('openai')}, AsyncOpenAI, {IN_FLIGHT} in flight": openai_async,
    f"{version('openai')}, a loop": openai_loop,
    f"{version('langchain-openai')}, embed_documents": langchain,
}


def timed(make, fake):
    base = fake.scenario(width=WIDTH, latency_ms=50)
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB)")
    work = make(db, base + "/v1")
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    stored = db.execute("SELECT count(*), sum(length(vector)) FROM vectors").fetchone()
    assert stored == (COUNT, COUNT * WIDTH * 4), stored
    return took


with Fake() as fake:
    times = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, make in CONTENDERS.items():
            times[name].append(timed(make, fake))
    ours = sorted(times["rembed_rows"])[ROUNDS // 2]
    print(f"| {COUNT:,} texts × {WIDTH:,} into a table | seconds | times as long |\n| --- | ---: | ---: |")
    for name, of_one in times.items():
        took = sorted(of_one)[ROUNDS // 2]
        print(f"| {name} | {took:.2f} | {took / ours:.1f} |")
