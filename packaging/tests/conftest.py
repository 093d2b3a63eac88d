"""The fake provider, and where the packages are."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "target/packages"


@pytest.fixture(scope="session")
def provider():
    """The address of a provider with Ollama's API."""
    fake = os.environ.get("REMBED_FAKE") or ROOT / "tests/fake/target/release/rembed-fake"
    with subprocess.Popen([fake], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()
