"""The fake provider, started from Python."""

import json
import os
import pathlib
import subprocess
import urllib.request

BUILT = pathlib.Path(__file__).resolve().parent / "target/release/rembed-fake"


class Fake:
    """A running fake: what REMBED_FAKE names, or what is built here. It ends with this process, or with `close()`."""

    def __init__(self):
        program = os.environ.get("REMBED_FAKE") or BUILT
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.made = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def scenario(self, name=None, **settings):
        """Makes a scenario with these settings, which counts for itself; answers its base URL."""
        self.made += 1
        name = name or f"python-{self.made}"
        self._control("PUT", name, settings)
        return f"{self.url}/s/{name}"

    def report(self, base):
        """What the scenario of this base URL has seen."""
        return self._control("GET", base.rsplit("/", 1)[1])

    def _control(self, method, name, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_/{name}", data, method=method)
        # A proxy of the machine's does not know it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as reply:
            return json.load(reply)
