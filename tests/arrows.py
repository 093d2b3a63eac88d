#!/usr/bin/env python3
"""Fails where a wing of src/, or a file of backends/sqlite/, uses one that is above it or beside it, so that imports go
down only."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).parent.parent
WINGS = [["sql"], ["index"], ["embed"], ["client", "transport"], ["local"], ["provider"], ["base"]]
SQLITE = [["entry", "linked"], ["register"], ["batch_table", "chunks_table", "clients_table", "index", "store"], ["functions", "select", "sql", "vtab"],
          ["schema"], ["running"], ["connection"], ["in_use", "value"], ["ffi"]]


def floors(names):
    return {name: i for i, floor in enumerate(names) for name in floor}


def up(path, user, used, floor):
    return [f"{path.relative_to(root)}: {user} -> {name}" for name in used
            if name != user and name in floor and floor[name] <= floor[user]]


def code(path):
    return path.read_text().split("#[cfg(test)]")[0]


floor = floors(WINGS)
wrong = []
for path in (root / "src").glob("*/**/*.rs"):
    wing = path.relative_to(root / "src").parts[0]
    wrong += up(path, wing, re.findall(r"\bcrate::(\w+)", code(path)), floor)

files = floors(SQLITE)
for path in (root / "backends/sqlite").glob("*.rs"):
    if path.stem in ("mod", "played"):
        continue
    if path.stem not in files:
        wrong.append(f"{path.relative_to(root)}: has no place in tests/arrows.py")
        continue
    used = re.findall(r"\bsuper::(\w+)", code(path))
    for names in re.findall(r"\bsuper::\{([^;]*)\};", code(path)):
        used += re.findall(r"(?:^|,)\s*(\w+)", names)
    wrong += up(path, path.stem, used, files)
    # What every file uses must not come from mod.rs, which uses them all.
    wrong += [f"{path.relative_to(root)}: {path.stem} -> mod" for name in used if name not in files]
print("\n".join(wrong) or f"no arrow up in {len(floor)} wings and {len(files)} files of backends/sqlite")
sys.exit(bool(wrong))
