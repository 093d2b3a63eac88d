"""Both ways: an official SDK gets its vectors from the fake, and what we send for the same call equals what it sends."""

import base64
import importlib.metadata
import json
import os
import pathlib
import sqlite3

import numpy

from checks import bits
from exchanged import watsonx
from signed import ACCESS_KEY, proof

LIBRARY = os.environ.get("REMBED_LIB") or pathlib.Path("target/debug/libsqlite_rembed").resolve()
KEY = "sdk-key-1"
TEXTS = ["the cat sat on the mat", "a third text"]


def from_base64(row):
    return numpy.frombuffer(base64.b64decode(row), "<f4")


def openai(base):
    import openai

    client = openai.OpenAI(api_key=KEY, base_url=base + "/v1", max_retries=0)
    reply = client.embeddings.create(model="text-embedding-3-small", input=TEXTS, dimensions=64)
    return [row.embedding for row in reply.data]


def cohere(base):
    import cohere

    client = cohere.ClientV2(api_key=KEY, base_url=base)
    more = {"input_type": "search_query", "embedding_types": ["float"], "output_dimension": 64, "truncate": "END"}
    return client.embed(texts=TEXTS, model="embed-v4.0", **more).embeddings.float_


def ollama(base):
    import ollama

    client = ollama.Client(host=base, headers={"Authorization": f"Bearer {KEY}"})
    return client.embed(model="all-minilm", input=TEXTS, truncate=True, dimensions=64).embeddings


def nomic(base):
    import nomic.embed

    session = {"atlas_api_path": base, "header": {"Authorization": f"Bearer {KEY}"}}
    nomic.embed.atlas_class = type("Session", (), session)()
    model = "nomic-embed-text-v1.5"
    return nomic.embed.text(TEXTS, model=model, task_type="search_query", dimensionality=64)["embeddings"]


def mistral(base):
    from mistralai.client import Mistral

    reply = Mistral(api_key=KEY, server_url=base).embeddings.create(model="codestral-embed", inputs=TEXTS, output_dimension=64)
    return [row.embedding for row in reply.data]


def mixedbread(base):
    import mixedbread

    client = mixedbread.Mixedbread(api_key=KEY, base_url=base, max_retries=0)
    reply = client.embed(model="mxbai-embed-large-v1", input=TEXTS, dimensions=64, normalized=True, encoding_format="base64")
    return [from_base64(row.embedding) for row in reply.data]


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


def aws(base, service):
    import boto3

    return boto3.client(service, endpoint_url=base, region_name=ACCESS_KEY["AWS_REGION"])


def bedrock(base):
    def vector(text):
        body = json.dumps({"inputText": text, "dimensions": 256, "normalize": True})
        reply = client.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=body, contentType="application/json")
        return json.load(reply["body"])["embedding"]

    client = aws(base, "bedrock-runtime")
    return [vector(text) for text in TEXTS]


def sagemaker(base):
    body = json.dumps({"inputs": TEXTS, "truncate": True})
    client = aws(base, "sagemaker-runtime")
    reply = client.invoke_endpoint(EndpointName="mine", Body=body, ContentType="application/json")
    return json.load(reply["Body"])


def kserve(base):
    import numpy
    import tritonclient.http as triton

    texts = triton.InferInput("TEXT", [len(TEXTS), 1], "BYTES")
    texts.set_data_from_numpy(numpy.array([[text] for text in TEXTS], dtype=object), binary_data=False)
    wanted = triton.InferRequestedOutput("embedding", binary_data=False)
    client = triton.InferenceServerClient(base.removeprefix("http://"))
    return client.infer("mine", [texts], outputs=[wanted]).as_numpy("embedding")


def vertex(base):
    from google import genai
    from google.oauth2.credentials import Credentials

    options = genai.types.HttpOptions(base_url=base, api_version="v1")
    where = {"vertexai": True, "project": "p", "location": "us-central1", "credentials": Credentials(KEY)}
    client = genai.Client(http_options=options, **where)
    config = {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 64, "auto_truncate": True}
    reply = client.models.embed_content(model="text-embedding-005", contents=TEXTS, config=config)
    return [row.values for row in reply.embeddings]


def huggingface(base):
    from unittest import mock

    from huggingface_hub import InferenceClient
    from huggingface_hub.inference import _providers

    # The SDK asks the hub what the model is for, and has its router's address in a constant.
    task = _providers.PROVIDERS["hf-inference"]["feature-extraction"]
    mapping = mock.Mock(provider_id="BAAI/bge-small-en-v1.5", hf_model_id="BAAI/bge-small-en-v1.5")
    with (
        mock.patch.object(task, "_prepare_mapping_info", return_value=mapping),
        mock.patch.object(task, "base_url", base + "/hf-inference"),
    ):
        client = InferenceClient(provider="hf-inference", api_key=KEY)
        return list(client.feature_extraction(TEXTS, model="BAAI/bge-small-en-v1.5", truncate=True, prompt_name="query"))


QUERY = {"input_type": "query"}
TENSOR = {
    "inputs": [{"name": "TEXT", "shape": [-1, 1]}],
    "outputs": [{"name": "embedding", "parameters": {"binary_data": False}}],
}
TITAN = {"model": "amazon.titan-embed-text-v2:0", "dimensions": 256}
SIGNED = {"key": "env:AWS_ACCESS_KEY_ID"}

# The SDK's call; ours: the base URL's path and the options. The differences: what the SDK has and we have not, and why.
CASES = [
    ("openai", openai, "/v1", {"model": "text-embedding-3-small", "dimensions": 64}, []),
    ("cohere", cohere, "/v2", {"model": "embed-v4.0", "dimensions": 64, "truncate": True, **QUERY}, []),
    ("ollama", ollama, "", {"model": "all-minilm", "dimensions": 64, "truncate": True}, []),
    # The SDK shares the texts out among its threads.
    ("nomic", nomic, "/v1", {"model": "nomic-embed-text-v1.5", "dimensions": 64, "truncate": True, "batch_size": 1, **QUERY}, []),
    ("mistral", mistral, "/v1", {"model": "codestral-embed", "dimensions": 64}, []),
    ("mixedbread", mixedbread, "/v1", {"model": "mxbai-embed-large-v1", "dimensions": 64}, []),
    # The SDK spells the content's role, which defaults to the user's.
    ("gemini", genai, "/v1beta", {"model": "gemini-embedding-001", "dimensions": 64, **QUERY}, ["role"]),
    ("azure", azure, "/openai/deployments", {"model": "mine", "dimensions": 64}, []),
    ("azure", azure_v1, "/openai", {"model": "mine", "key": "eyJ0.e30.c2ln"}, []),
    ("cloudflare", cloudflare, "/client/v4/accounts/acc/ai/run", {"model": "@cf/baai/bge-base-en-v1.5"}, []),
    ("tei", tei, "", {"truncate": True, **QUERY}, []),
    # The SDK sends null for the type of the numbers, which stands for float.
    ("bedrock", bedrock, "/model", {**TITAN, **SIGNED}, []),
    ("sagemaker", sagemaker, "/endpoints", {"model": "mine", "truncate": True, **SIGNED}, []),
    ("kserve", kserve, "/v2", {"model": "mine", "body": TENSOR, "key": ""}, []),
    (
        "vertex",
        vertex,
        "/v1/projects/p/locations/us-central1/publishers/google/models",
        {"model": "text-embedding-005", "dimensions": 64, "truncate": True, "batch_size": 250, **QUERY},
        [],
    ),
    ("huggingface", huggingface, "/hf-inference/models", {"model": "BAAI/bge-small-en-v1.5", "truncate": True, **QUERY}, []),
    ("voyage", voyage, "/v1", {"model": "voyage-3.5", "truncate": True, "dimensions": 64, **QUERY}, ["output_dtype"]),
]


# Whose SDK a format was compared with, by the name of its package.
PACKAGES = {
    "openai": "openai",
    "cohere": "cohere",
    "ollama": "ollama",
    "nomic": "nomic",
    "mistral": "mistralai",
    "mixedbread": "mixedbread",
    "gemini": "google-genai",
    "azure": "openai",
    "cloudflare": "cloudflare",
    "tei": "huggingface_hub",
    "bedrock": "boto3",
    "sagemaker": "boto3",
    "kserve": "tritonclient",
    "vertex": "google-genai",
    "huggingface": "huggingface_hub",
    "voyage": "voyageai",
    "watsonx": "ibm-watsonx-ai",
}


def lines():
    """For each format of the library the SDK that it was compared with, or that its facts were only read."""
    debug = library().execute("SELECT rembed_debug()").fetchone()[0]
    formats = next(line for line in debug.splitlines() if line.lower().startswith("formats")).partition(":")[2]
    for format in formats.replace(",", " ").split():
        package = PACKAGES.get(format)
        yield f"{format}: " + (f"{package} {importlib.metadata.version(package)}" if package else "read only")


def without(body, names):
    """The body without the fields that are known to differ."""
    if isinstance(body, dict):
        return {name: without(value, names) for name, value in body.items() if name not in names}
    return [without(item, names) for item in body] if isinstance(body, list) else body


def library():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?, 'sqlite3_rembed_init')", [str(LIBRARY)])
    return db


def ours(base, format, options, texts=TEXTS):
    db = library()
    options = {"format": format, "url": base, "key": KEY, "cache": "off", **options}
    db.execute("SELECT rembed_register('c', ?)", [json.dumps(options)]).fetchone()
    rows = db.execute("SELECT embedding FROM rembed_batch('c', ?)", [json.dumps(texts)])
    return [row[0] for row in rows]


def both_ways(check, fake):
    os.environ.update(ACCESS_KEY)
    check.same("formats compared", sorted({case[0] for case in CASES} | {"watsonx"}), sorted(PACKAGES))
    for format, sdk, path, options, differences in CASES:
        name = f"both ways {sdk.__name__}"
        key = options.get("key", KEY)
        is_signed = key == SIGNED["key"]
        settings = {"key": key} if key and not is_signed else {}
        theirs, mine = fake.scenario(**settings), fake.scenario(**settings)
        vectors = [bits(vector) for vector in sdk(theirs)]
        check.same(f"{name} vectors", ours(mine + path, format, options), vectors)
        # Of several requests at once, each may come first.
        sent, we = (sorted(fake.report(base)["log"], key=lambda entry: entry["texts"]) for base in (theirs, mine))
        check.same(f"{name} requests", len(we), len(sent))
        for field in ["method", "path"]:
            # Cloudflare's SDK encodes the slashes of a model's name.
            check.same(f"{name} {field}", we[0][field], sent[0][field].replace("%2F", "/"))
        check.same(f"{name} body", we[0]["body"], without(sent[0]["body"], differences))
        if is_signed:
            check.same(f"{name} key", proof(check, name, mine, we[0]), proof(check, name, theirs, sent[0]))
        elif key:
            of_key = lambda entry: {name: value for name, value in entry["headers"].items() if key in value}
            check.same(f"{name} key", of_key(we[0]), of_key(sent[0]))
        kind = we[0]["headers"]["content-type"]
        # Triton's SDK sends none.
        check.that(f"{name} content type", sent[0]["headers"].get("content-type", kind).startswith(kind))
    watsonx(check, fake, ours, TEXTS)
