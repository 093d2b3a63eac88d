"""Both ways: an official SDK gets its vectors from the fake, and what we send for the same call equals what it sends."""

import json
import os
import pathlib
import sqlite3

from checks import bits

LIBRARY = os.environ.get("REMBED_LIB") or pathlib.Path("target/debug/libsqlite_rembed").resolve()
KEY = "sdk-key-1"
TEXTS = ["the cat sat on the mat", "a third text"]


def genai(base):
    from google import genai

    options = genai.types.HttpOptions(base_url=base, api_version="v1beta")
    client = genai.Client(api_key=KEY, http_options=options)
    config = {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 64}
    reply = client.models.embed_content(model="gemini-embedding-001", contents=TEXTS, config=config)
    return [row.values for row in reply.embeddings]


def azure(base):
    import openai

    client = openai.AzureOpenAI(api_key=KEY, azure_endpoint=base, api_version="2024-10-21", max_retries=0)
    reply = client.embeddings.create(model="mine", input=TEXTS, dimensions=64)
    return [row.embedding for row in reply.data]


def azure_v1(base):
    import openai

    client = openai.OpenAI(api_key="eyJ0.e30.c2ln", base_url=base + "/openai/v1", max_retries=0)
    return [row.embedding for row in client.embeddings.create(model="mine", input=TEXTS).data]


def cloudflare(base):
    import cloudflare

    client = cloudflare.Cloudflare(api_token=KEY, base_url=base + "/client/v4", max_retries=0)
    return client.ai.run("@cf/baai/bge-base-en-v1.5", account_id="acc", text=TEXTS)["data"]


def tei(base):
    from huggingface_hub import InferenceClient

    client = InferenceClient(model=base + "/embed", token=KEY)
    return list(client.feature_extraction(TEXTS, truncate=True, prompt_name="query"))


def voyage(base):
    import voyageai

    client = voyageai.Client(api_key=KEY, base_url=base + "/v1", max_retries=1)
    return client.embed(TEXTS, model="voyage-3.5", input_type="query", truncation=True, output_dimension=64).embeddings


QUERY = {"input_type": "query"}

# The SDK's call; ours: the base URL's path and the options. The differences: what the SDK has and we have not, and why.
CASES = [
    # The SDK spells the content's role, which defaults to the user's.
    ("gemini", genai, "/v1beta", {"model": "gemini-embedding-001", "dimensions": 64, **QUERY}, ["role"]),
    ("azure", azure, "/openai/deployments", {"model": "mine", "dimensions": 64}, []),
    ("azure", azure_v1, "/openai", {"model": "mine", "key": "eyJ0.e30.c2ln"}, []),
    ("cloudflare", cloudflare, "/client/v4/accounts/acc/ai/run", {"model": "@cf/baai/bge-base-en-v1.5"}, []),
    ("tei", tei, "", {"truncate": True, **QUERY}, []),
    # The SDK sends null for the type of the numbers, which stands for float.
    ("voyage", voyage, "/v1", {"model": "voyage-3.5", "truncate": True, "dimensions": 64, **QUERY}, ["output_dtype"]),
]


def without(body, names):
    """The body without the fields that are known to differ."""
    if isinstance(body, dict):
        return {name: without(value, names) for name, value in body.items() if name not in names}
    return [without(item, names) for item in body] if isinstance(body, list) else body


def ours(base, format, options):
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?, 'sqlite3_rembed_init')", [str(LIBRARY)])
    options = {"format": format, "url": base, "key": KEY, "cache": "off", **options}
    db.execute("SELECT rembed_register('c', ?)", [json.dumps(options)]).fetchone()
    rows = db.execute("SELECT embedding FROM rembed_batch('c', ?)", [json.dumps(TEXTS)])
    return [row[0] for row in rows]


def both_ways(check, fake):
    for format, sdk, path, options, differences in CASES:
        name = f"both ways {sdk.__name__}"
        key = options.get("key", KEY)
        theirs, mine = fake.scenario(key=key), fake.scenario(key=key)
        vectors = [bits(vector) for vector in sdk(theirs)]
        check.same(f"{name} vectors", ours(mine + path, format, options), vectors)
        sent, we = fake.report(theirs)["log"], fake.report(mine)["log"]
        check.same(f"{name} requests", len(we), len(sent))
        for field in ["method", "path"]:
            # Cloudflare's SDK encodes the slashes of a model's name.
            check.same(f"{name} {field}", we[0][field], sent[0][field].replace("%2F", "/"))
        check.same(f"{name} body", we[0]["body"], without(sent[0]["body"], differences))
        of_key = lambda entry: {name: value for name, value in entry["headers"].items() if key in value}
        check.same(f"{name} key", of_key(we[0]), of_key(sent[0]))
        kind = we[0]["headers"]["content-type"]
        check.that(f"{name} content type", sent[0]["headers"]["content-type"].startswith(kind))
