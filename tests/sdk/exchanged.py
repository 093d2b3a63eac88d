"""A key that is exchanged for a token: IBM's SDK and we ask the same servers the same."""

import base64
import json
import time
import urllib.parse

from checks import bits

API_KEY = "sdk-api-key-1"
SERVICE = "https://eu-de.ml.cloud.ibm.com"
MODEL = "ibm/slate-125m-english-rtrvr"


def token():
    """What the SDK takes for a token of IAM: it reads the time from it."""
    part = lambda fields: base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none'})}.{part({'exp': int(time.time()) + 3600})}.c2ln"


def watsonx_sdk(base, texts):
    """The SDK's vectors, and the servers that it asks: it knows its own alone, so the way to them leads here."""
    import httpx
    from ibm_watsonx_ai import APIClient, Credentials
    from ibm_watsonx_ai.foundation_models import Embeddings

    asked = []

    class Here(httpx.HTTPTransport):
        def handle_request(self, request):
            asked.append(f"{request.url.scheme}://{request.url.host}{request.url.path}")
            request.url = httpx.URL(base + request.url.raw_path.decode())
            return super().handle_request(request)

    credentials = Credentials(url=SERVICE, api_key=API_KEY)
    client = APIClient(credentials, httpx_client=httpx.Client(transport=Here()))
    client.default_project_id = "p"
    return Embeddings(model_id=MODEL, api_client=client, project_id="p").embed_documents(texts), asked


def watsonx(check, fake, ours, texts):
    settings = {"key": token(), "api_key": API_KEY}
    theirs, mine = fake.scenario(**settings), fake.scenario(**settings)
    vectors, asked = watsonx_sdk(theirs, texts)
    # Ours, from the table of formats.
    wanted = ["https://iam.cloud.ibm.com/identity/token", f"{SERVICE}/ml/v1/text/embeddings"]
    check.same("both ways watsonx servers", asked, wanted)
    sent = fake.report(theirs)["log"]
    version = sent[1]["path"].partition("?")[2]
    options = {"model": MODEL, "key": API_KEY, "body": {"project_id": "p"}}
    options["token_url"] = f"{mine}/identity/token"
    url = f"{mine}/ml/v1/text/embeddings?{version}"
    check.same("both ways watsonx vectors", ours(url, "watsonx", options, texts), [bits(row) for row in vectors])
    we = fake.report(mine)["log"]
    check.same("both ways watsonx requests", [entry["path"] for entry in we], [entry["path"] for entry in sent])
    form = lambda entry: sorted(urllib.parse.parse_qsl(entry["sent"]))
    check.same("both ways watsonx form", form(we[0]), form(sent[0]))
    check.same("both ways watsonx body", we[1]["body"], sent[1]["body"])
    header = lambda entry, name: entry["headers"].get(name)
    for i in range(2):
        kinds = [header(log[i], "content-type") for log in (we, sent)]
        check.same(f"both ways watsonx content type {i}", *kinds)
    check.same("both ways watsonx token", header(we[1], "authorization"), header(sent[1], "authorization"))
    # The SDK names itself to IAM as its command line does, which brings a token to renew the other by. We need none.
    check.same("both ways watsonx client", [header(log[0], "authorization") for log in (we, sent)], [None, "Basic Yng6Yng="])
