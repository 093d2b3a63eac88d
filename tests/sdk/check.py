"""Every official SDK, pointed at the fake server."""

import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOG"] = "ERROR"

sys.path.insert(0, "tests/fake")
from both import both_ways, lines
from checks import Checks, bits, cosine, length
from launch import Fake

TEXTS = ["the cat sat on the mat", "naïve café ☕", "a third text"]
RETRIED = {"first": 1, "status": 429, "headers": {"retry-after": "1"}}
LIMITED = {"status": 429}


def openai_sdk(check, fake, plain):
    import openai

    def client(base, retries=0, key="k", **more):
        return openai.OpenAI(api_key=key, base_url=base + "/v1", max_retries=retries, **more)

    def embed(base, input=TEXTS, **more):
        return client(base).embeddings.create(model="m", input=input, **more)

    root = client(fake.url)
    reply = root.embeddings.create(model="m", input=TEXTS)
    check.same("openai order", [bits(row.embedding) for row in reply.data], plain)
    check.same("openai index", [row.index for row in reply.data], [0, 1, 2])
    check.same("openai usage", reply.usage.total_tokens, reply.usage.prompt_tokens)
    base = fake.scenario()
    embed(base)
    check.same("openai asks base64", fake.report(base)["log"][0]["body"]["encoding_format"], "base64")
    reply = embed(fake.url, encoding_format="float")
    check.same("openai float", [bits(row.embedding) for row in reply.data], plain)
    reply = embed(fake.scenario(float_only=True))
    check.same("openai float_only", [bits(row.embedding) for row in reply.data], plain)
    check.same("openai one text", bits(embed(fake.url, TEXTS[0]).data[0].embedding), plain[0])
    check.same("openai dimensions", len(embed(fake.url, dimensions=256).data[2].embedding), 256)
    check.same("openai token lists", len(embed(fake.url, [[1, 2], [3]]).data), 2)
    check.same("openai tokens", len(embed(fake.url, [1, 2, 3]).data), 1)
    check.same("openai gzip", len(embed(fake.scenario(gzip=True)).data), 3)

    bad = openai.BadRequestError
    check.raises("openai empty text", bad, lambda: embed(fake.url, ["a", ""]))
    check.raises("openai 2049 texts", bad, lambda: embed(fake.url, ["a"] * 2049))
    check.raises("openai encoding", bad, lambda: embed(fake.url, encoding_format="int3"))
    keyed = fake.scenario(key="right")
    check.raises("openai key", openai.AuthenticationError, lambda: embed(keyed), 401)
    check.same("openai right key", len(client(keyed, key="right").embeddings.create(model="m", input="a").data), 1)
    for status, kind in [
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ]:
        base = fake.scenario(faults=[{"status": status}])
        check.raises(f"openai {status}", kind, lambda: embed(base), status)
    for name, fault in [("reset", {"reset": "before"}), ("reset mid", {"reset": "mid"}), ("cut", {"truncate": 9})]:
        base = fake.scenario(faults=[fault])
        try:
            embed(base)
            check.that(f"openai {name}", False)
        except openai.APIConnectionError:
            check.that(f"openai {name}", True)
        except Exception as error:  # httpx errors while the body is read pass through the SDK
            check.that(f"openai {name}: {error!r}", type(error).__module__.startswith("httpx"))
    slow = client(fake.scenario(faults=[{"hang": True}]), timeout=0.3)
    check.raises("openai timeout", openai.APITimeoutError, lambda: slow.embeddings.create(model="m", input="a"))
    base = fake.scenario(faults=[RETRIED])
    check.same("openai retries", len(client(base, retries=2).embeddings.create(model="m", input="a").data), 1)
    log = fake.report(base)["log"]
    check.same("openai retries once", [entry["status"] for entry in log], [429, 200])
    check.that("openai waits", log[1]["at_ms"] - log[0]["at_ms"] >= 1000)
    base = fake.scenario(rpm=1, rpm_window_ms=400)
    embed(base)
    check.raises("openai rate limit", openai.RateLimitError, lambda: embed(base), 429)
    check.same("openai waits for the window", len(client(base, retries=2).embeddings.create(model="m", input="a").data), 1)
    reply = embed(fake.scenario(faults=[{"order": "reversed"}]))
    check.same("openai reversed", [row.index for row in reply.data], [2, 1, 0])
    check.same("openai reversed row", bits(reply.data[0].embedding), plain[2])

    azure = openai.AzureOpenAI(api_key="right", azure_endpoint=keyed, api_version="2024-10-21", max_retries=0)
    reply = azure.embeddings.create(model="org/deploy", input=TEXTS)
    check.same("azure", [bits(row.embedding) for row in reply.data], plain)


def llama_through_openai(check, fake, plain):
    import openai

    base = fake.scenario(flavor="llama", max_tokens_per_text=20)
    client = openai.OpenAI(api_key="k", base_url=base + "/v1", max_retries=0)
    reply = client.embeddings.create(model="m", input=[*TEXTS, ""], dimensions=8)
    check.same("llama", [bits(row.embedding) for row in reply.data[:3]], plain)
    long = "word " * 40
    check.raises(
        "llama too large", openai.InternalServerError, lambda: client.embeddings.create(model="m", input=long), 500
    )


def ollama_sdk(check, fake, plain):
    import ollama

    client = ollama.Client(host=fake.url)
    reply = client.embed(model="m", input=TEXTS)
    check.same("ollama", [bits(vector) for vector in reply.embeddings], plain)
    check.that("ollama counts", reply.prompt_eval_count > 0)
    check.same("ollama one text", bits(client.embed(model="m", input=TEXTS[0]).embeddings[0]), plain[0])
    small = client.embed(model="m", input=TEXTS, truncate=True, dimensions=64).embeddings[1]
    check.same("ollama dimensions", len(small), 64)
    check.that("ollama normalises", abs(length(small) - 1) < 1e-5)
    check.same("ollama larger", len(client.embed(model="m", input="a", dimensions=2000).embeddings[0]), 768)
    check.same("ollama empty text", list(client.embed(model="m", input="").embeddings), [])
    check.same("ollama empty list", list(client.embed(model="m", input=[]).embeddings), [])
    legacy = client.embeddings(model="m", prompt=TEXTS[0]).embedding
    check.that("ollama legacy length", abs(length(legacy) - 2) < 1e-5)
    check.same("ollama legacy", bits([x / 2 for x in legacy]), plain[0])
    check.same("ollama legacy empty", list(client.embeddings(model="m", prompt="").embedding), [])
    wrong = ollama.ResponseError
    check.raises("ollama missing", wrong, lambda: client.embed(model="missing-model", input="a"), 404)
    check.raises("ollama legacy missing", wrong, lambda: client.embeddings(model="missing", prompt="a"), 404)
    keyed = ollama.Client(host=fake.scenario(key="right"))
    check.raises("ollama key", wrong, lambda: keyed.embed(model="m", input="a"), 401)
    limited = ollama.Client(host=fake.scenario(faults=[LIMITED]))
    check.raises("ollama 429", wrong, lambda: limited.embed(model="m", input="a"), 429)
    short = ollama.Client(host=fake.scenario(max_tokens_per_text=4))
    check.raises("ollama too long", wrong, lambda: short.embed(model="m", input=TEXTS, truncate=False), 400)
    check.same("ollama truncates", len(short.embed(model="m", input=TEXTS).embeddings), 3)


def cohere_sdk(check, fake, plain):
    import cohere

    def v2(base=fake.url, key="k"):
        return cohere.ClientV2(api_key=key, base_url=base)

    def embed(client, texts=TEXTS, **more):
        more = {"model": "embed-v4.0", "input_type": "search_query", "embedding_types": ["float"], **more}
        return client.embed(texts=texts, **more)

    def types(**more):
        return lambda: embed(v2(), **more)

    query = embed(v2())
    document = embed(v2(), input_type="search_document")
    check.same("cohere count", len(query.embeddings.float_), 3)
    check.same("cohere texts", query.texts, TEXTS)
    check.same("cohere width", len(query.embeddings.float_[0]), 768)
    check.that("cohere units", query.meta.billed_units.input_tokens > 0)
    differ(check, "cohere", query.embeddings.float_, document.embeddings.float_)
    both = embed(v2(), embedding_types=["float", "base64"]).embeddings
    check.same("cohere base64", [from_base64(text) for text in both.base64], [bits(v) for v in both.float_])
    check.same("cohere dimension", len(embed(v2(), output_dimension=256).embeddings.float_[1]), 256)
    bad = cohere.errors.BadRequestError
    check.raises("cohere no type", bad, types(input_type=None), 400)
    check.raises("cohere wrong type", bad, types(input_type="query"), 400)
    check.raises("cohere 97 texts", bad, types(texts=["a"] * 97), 400)
    keyed = fake.scenario(key="right")
    check.raises("cohere key", cohere.errors.UnauthorizedError, lambda: embed(v2(keyed)), 401)
    check.same("cohere right key", len(embed(v2(keyed, "right")).embeddings.float_), 3)
    base = fake.scenario(faults=[RETRIED])
    check.same("cohere retries", len(embed(v2(base)).embeddings.float_), 3)
    check.same("cohere retries once", fake.report(base)["requests"], 2)
    limited = v2(fake.scenario(faults=[LIMITED]))
    check.raises("cohere 429", cohere.errors.TooManyRequestsError, lambda: embed(limited, request_options={"max_retries": 0}), 429)

    base = fake.scenario()
    v1 = cohere.Client(api_key="k", base_url=base)
    many = [f"text {n}" for n in range(100)]
    floats = v1.embed(texts=many, model="embed-english-v3.0", input_type="search_query").embeddings
    wanted = embed(v2(), texts=many[:96]).embeddings.float_ + embed(v2(), texts=many[96:]).embeddings.float_
    check.same("cohere v1", [bits(v) for v in floats], [bits(v) for v in wanted])
    sizes = sorted(len(entry["texts"]) for entry in fake.report(base)["log"])
    check.same("cohere v1 splits", sizes, [4, 96])
    typed = v1.embed(texts=["a"], model="embed-english-v3.0", input_type="search_query", embedding_types=["float"])
    check.same("cohere v1 by type", len(typed.embeddings.float_), 1)
    check.raises("cohere v1 no type", bad, lambda: v1.embed(texts=["a"], model="embed-english-v3.0"), 400)
    old = v1.embed(texts=TEXTS, model="embed-english-v2.0").embeddings
    check.same("cohere v1 old model", [bits(v) for v in old], plain)


def nomic_sdk(check, fake, plain):
    import nomic.embed

    def embed(base, texts=TEXTS, key="k", **more):
        session = {"atlas_api_path": base, "header": {"Authorization": f"Bearer {key}"}}
        nomic.embed.atlas_class = type("Session", (), session)()
        return nomic.embed.text(texts, model="nomic-embed-text-v1.5", **more)

    query = embed(fake.url, task_type="search_query")
    document = embed(fake.url, task_type="search_document")
    check.same("nomic count", len(query["embeddings"]), 3)
    check.same("nomic width", len(query["embeddings"][0]), 768)
    check.that("nomic usage", query["usage"]["total_tokens"] > 0)
    differ(check, "nomic", query["embeddings"], document["embeddings"])
    small = embed(fake.url, task_type="search_query", dimensionality=256)
    check.same("nomic dimensionality", len(small["embeddings"][0]), 256)
    many = [f"text {n}" for n in range(25)]
    base = fake.scenario()
    vectors = embed(base, many, task_type="search_query")["embeddings"]
    single = embed(fake.url, [many[17]], task_type="search_query")["embeddings"][0]
    check.same("nomic order", bits(vectors[17]), bits(single))
    check.that("nomic splits", fake.report(base)["requests"] > 1)
    base = fake.scenario(faults=[{"first": 1, "status": 429}])
    check.same("nomic retries", len(embed(base)["embeddings"]), 3)
    keyed = fake.scenario(key="right")
    check.raises("nomic key", Exception, lambda: embed(keyed))
    check.same("nomic right key", len(embed(keyed, key="right")["embeddings"]), 3)


def mixedbread_sdk(check, fake, plain):
    import mixedbread

    def embed(base, retries=0, key="k", **more):
        client = mixedbread.Mixedbread(api_key=key, base_url=base, max_retries=retries)
        return client.embed(model="mxbai-embed-large-v1", input=TEXTS, **more)

    reply = embed(fake.url, normalized=True)
    check.same("mixedbread", [bits(row.embedding) for row in reply.data], plain)
    check.same("mixedbread says", (reply.normalized, reply.encoding_format, reply.dimensions), (True, "float", 768))
    check.same("mixedbread dimensions", len(embed(fake.url, dimensions=512).data[0].embedding), 512)
    prompt = "Represent this sentence for searching relevant passages: "
    query = embed(fake.url, prompt=prompt)
    differ(check, "mixedbread", [row.embedding for row in query.data], [row.embedding for row in reply.data])
    longer = embed(fake.url, normalized=False).data[0].embedding
    check.that("mixedbread not normalised", abs(length(longer) - 2) < 1e-5)
    text = embed(fake.url, normalized=True, encoding_format="base64").data[1].embedding
    check.same("mixedbread base64", from_base64(text), plain[1])
    several = embed(fake.url, normalized=True, encoding_format=["float", "base64"])
    check.same("mixedbread several", bits(several.data[0].embedding.float), plain[0])
    check.same("mixedbread several base64", from_base64(several.data[0].embedding.base64), plain[0])
    keyed = fake.scenario(key="right")
    check.raises("mixedbread key", mixedbread.AuthenticationError, lambda: embed(keyed), 401)
    base = fake.scenario(faults=[RETRIED])
    check.same("mixedbread retries", len(embed(base, retries=2).data), 3)
    check.same("mixedbread retries once", fake.report(base)["requests"], 2)
    limited = fake.scenario(faults=[LIMITED])
    check.raises("mixedbread 429", mixedbread.RateLimitError, lambda: embed(limited), 429)


def mistral_sdk(check, fake, plain):
    from mistralai.client import Mistral
    from mistralai.client.errors import SDKError

    client = Mistral(api_key="k", server_url=fake.url)
    reply = client.embeddings.create(model="mistral-embed", inputs=TEXTS)
    check.same("mistral", [bits(row.embedding) for row in reply.data], plain)
    small = client.embeddings.create(model="codestral-embed", inputs=["a"], output_dimension=256)
    check.same("mistral output_dimension", len(small.data[0].embedding), 256)
    base = fake.scenario(flavor="mistral", key="right", max_texts_too_large=2)
    wrong = Mistral(api_key="k", server_url=base)
    check.raises("mistral key", SDKError, lambda: wrong.embeddings.create(model="m", inputs=["a"]), 401)
    right = Mistral(api_key="right", server_url=base)
    check.raises("mistral too many", SDKError, lambda: right.embeddings.create(model="m", inputs=TEXTS), 400)


def voyage_sdk(check, fake, plain):
    import voyageai

    def embed(base, key="k", **more):
        client = voyageai.Client(api_key=key, base_url=base + "/v1", max_retries=1)
        return client.embed(TEXTS, model="voyage-3.5", **more)

    check.same("voyage", [bits(vector) for vector in embed(fake.url).embeddings], plain)
    query = embed(fake.url, input_type="query")
    document = embed(fake.url, input_type="document")
    check.that("voyage usage", query.total_tokens > 0)
    differ(check, "voyage", query.embeddings, document.embeddings)
    check.same("voyage dimension", len(embed(fake.url, output_dimension=256).embeddings[0]), 256)
    keyed = fake.scenario(key="right")
    check.raises("voyage key", voyageai.error.AuthenticationError, lambda: embed(keyed))
    limited = fake.scenario(faults=[RETRIED])
    check.raises("voyage 429", voyageai.error.RateLimitError, lambda: embed(limited))


def litellm_sdk(check, fake, plain):
    import litellm

    litellm.suppress_debug_info = True

    def embed(model, base, **more):
        more = {"api_key": "k", "input": TEXTS, **more}
        return litellm.embedding(model=model, api_base=base, **more)

    def vectors(*args, **more):
        return [row["embedding"] for row in embed(*args, **more).data]

    v1 = fake.url + "/v1"
    jina = "jina_ai/jina-embeddings-v3"
    check.same("litellm jina", [bits(v) for v in vectors(jina, v1)], plain)
    query = vectors(jina, v1, task="retrieval.query")
    passage = vectors(jina, v1, task="retrieval.passage")
    differ(check, "litellm jina", query, passage)
    check.same("litellm jina dimensions", len(vectors(jina, v1, dimensions=128)[0]), 128)
    keyed = fake.scenario(key="right", flavor="jina") + "/v1"
    check.raises("litellm jina key", litellm.AuthenticationError, lambda: embed(jina, keyed), 401)
    limited = fake.scenario(faults=[LIMITED], flavor="jina") + "/v1"
    check.raises("litellm jina 429", litellm.RateLimitError, lambda: embed(jina, limited), 429)

    for model, base, more in [
        ("openai/text-embedding-3-small", v1, {}),
        ("mistral/mistral-embed", v1, {}),
        ("voyage/voyage-3.5", v1, {}),
        ("fireworks_ai/nomic-ai/nomic-embed-text-v1.5", v1, {}),
        ("infinity/m", fake.url, {}),
        ("ollama/m", fake.url, {}),
    ]:
        check.same(f"litellm {model}", [bits(v) for v in vectors(model, base, **more)], plain)
    query = vectors("cohere/embed-v4.0", fake.url + "/v2/embed", input_type="search_query")
    passage = vectors("cohere/embed-v4.0", fake.url + "/v2/embed")
    differ(check, "litellm cohere", query, passage)
    keyed = fake.scenario(key="right") + "/v1"
    check.raises(
        "litellm openai key",
        litellm.AuthenticationError,
        lambda: embed("openai/m", keyed, max_retries=0),
        401,
    )


def differ(check, who, some, others):
    """An input type must show in the vectors, and not hide the text."""
    for a, b in zip(some, others, strict=True):
        check.that(f"{who} type is near", 0.9 < cosine(a, b) < 0.9999)


def from_base64(text):
    import base64

    return base64.b64decode(text)


def main():
    fake = Fake()
    check = Checks()
    # What everyone must agree on, by the shortest way there is.
    plain = []
    check.run(lambda check: plain.extend(reference(fake)))
    for sdk in [
        openai_sdk,
        llama_through_openai,
        ollama_sdk,
        cohere_sdk,
        nomic_sdk,
        mixedbread_sdk,
        mistral_sdk,
        voyage_sdk,
        litellm_sdk,
    ]:
        check.run(sdk, fake, plain)
    check.run(both_ways, fake)
    print("\n".join(lines()))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


def reference(fake):
    import json
    import urllib.request

    body = json.dumps({"model": "m", "input": TEXTS}).encode()
    request = urllib.request.Request(fake.url + "/v1/embeddings", data=body)
    with urllib.request.urlopen(request) as reply:
        return [bits(row["embedding"]) for row in json.load(reply)["data"]]


if __name__ == "__main__":
    sys.exit(main())
