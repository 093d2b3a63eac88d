"""What run.py and progress.py share: the library, the fake, workers, and the vectors that must come."""

import json
import os
import struct
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, "..", "sdk"), os.path.join(HERE, "..", "fake")]
from checks import Checks  # noqa: E402, F401
from launch import Fake  # noqa: E402, F401

LIB = os.path.abspath(
    os.environ.get("REMBED_LIB") or os.path.join(ROOT, "target/release/libsqlite_rembed.so")
)


class Worker:
    """A process with a connection and the client `c`, which answers one command after the other."""

    def __init__(self, url, folder=None, stderr=subprocess.PIPE, env=(), umask=-1, **options):
        options = {"format": "openai", "model": "m", "url": url + "/v1", **options}
        variables = {k: v for k, v in os.environ.items() if not k.startswith("REMBED_")}
        if folder:
            variables["REMBED_CACHE_DIR"] = folder
            options.setdefault("cache", "disk")
        variables.update(env)
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-B", os.path.join(HERE, "worker.py"), LIB, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=variables,
            umask=umask,
        )

    def send(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read() if self.process.stderr else ""
            raise RuntimeError(f"the worker ended with {self.process.wait()}: {said}")
        return json.loads(line)

    def do(self, **command):
        self.send(**command)
        return self.receive()

    def end(self):
        """Lets it go; answers what it has written to stderr."""
        said = self.process.communicate()[1]
        return said or ""


def ask(url, folder, texts, how="batch", **more):
    """What a fresh process answers."""
    worker = Worker(url, folder, **more)
    answer = worker.do(how=how, texts=texts)
    answer["stderr"] = worker.end()
    return answer


def truth(url, texts):
    """The bytes of each text's vector, asked of the fake without the extension."""
    vectors = []
    for start in range(0, len(texts), 1000):
        body = json.dumps({"model": "m", "input": texts[start : start + 1000]}).encode()
        request = urllib.request.Request(f"{url}/v1/embeddings", data=body)
        with urllib.request.urlopen(request) as reply:
            rows = json.load(reply)["data"]
        vectors += [struct.pack(f"<{len(r['embedding'])}f", *r["embedding"]).hex() for r in rows]
    return vectors
