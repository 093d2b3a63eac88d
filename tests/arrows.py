#!/usr/bin/env python3
"""Fails where a wing of src/ uses one that is above it or beside it, so that imports go down only."""
import pathlib
import re
import sys

src = pathlib.Path(__file__).parent.parent / "src"
FLOORS = [["sql"], ["embed"], ["client", "transport"], ["local"], ["provider"], ["base"]]
floor = {wing: i for i, wings in enumerate(FLOORS) for wing in wings}
wrong = []
for path in src.glob("*/**/*.rs"):
    wing = path.relative_to(src).parts[0]
    code = path.read_text().split("#[cfg(test)]")[0]
    for used in re.findall(r"\bcrate::(\w+)", code):
        if used != wing and used in floor and floor[used] <= floor[wing]:
            wrong.append(f"{path.relative_to(src)}: {wing} -> {used}")
print("\n".join(wrong) or f"no arrow up in {len(floor)} wings")
sys.exit(bool(wrong))
