"""The wheel's tag: any Python 3, on the platform that the library was built for."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Platform(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + os.environ["REMBED_WHEEL_PLATFORM"]
