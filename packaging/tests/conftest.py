"""The fake provider, and where the packages are."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

PACKAGES = ROOT / "target/packages"


@pytest.fixture(scope="session")
def provider():
    """The address of a provider with Ollama's API."""
    with Fake() as fake:
        yield fake.url
