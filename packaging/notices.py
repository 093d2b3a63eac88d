"""usage: notices.py TARGET FEATURES FOLDER
Writes THIRD-PARTY.txt, the licences of the crates that are linked in, and sbom.cdx.json, the same crates in CycloneDX.

From what cargo knows and the crates carry. (cargo-about and cargo-cyclonedx write more, and take longer to compile than the library.)
"""

import json
import re
import subprocess
import sys
from pathlib import Path

target, features, folder = sys.argv[1:]
SELECTION = ["--locked", "--no-default-features", "--features", features]
MIT = (Path(__file__).parents[1] / "LICENSE-MIT").read_text().split("\n\n", 2)[2]


def cargo(*args):
    return subprocess.run(["cargo", *args, *SELECTION], check=True, capture_output=True, text=True).stdout


def licence(package):
    """What has to go along with a copy: one licence of those offered, and all notices."""
    root = Path(package["manifest_path"]).parent
    files = sorted(f for f in root.iterdir() if re.match(r"(?i)licen|copying|notice|unlicense", f.name) and f.is_file())
    offered = re.split(r" OR |/", package["license"] or "")
    if "MIT" in offered:
        files = [f for f in files if re.search(r"(?i)mit\b|notice", f.name)] or files
    texts = [f.read_text(errors="replace").strip() for f in files]
    if not texts:
        # MIT asks for its text; a crate that has forgotten to carry it still means it.
        if "MIT" not in offered:
            raise SystemExit(f"{package['name']} carries no licence: {package['license']}")
        texts = ["Copyright (c) " + (", ".join(package["authors"]) or f"the authors of {package['name']}") + "\n\n" + MIT.strip()]
    return "\n\n".join(texts)


tree = cargo("tree", "--target", target, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
packages = {p["id"]: p for p in metadata["packages"] if (p["name"], "v" + p["version"]) in linked}
assert len(packages) == len(linked), linked ^ {(p["name"], "v" + p["version"]) for p in packages.values()}
[root] = [p for p in packages.values() if p["id"] == metadata["resolve"]["root"]]
crates = sorted((p for p in packages.values() if p is not root), key=lambda p: (p["name"], p["version"]))

by_text = {}
for crate in crates:
    by_text.setdefault(licence(crate), []).append(f"{crate['name']} {crate['version']} ({crate['license']})")
rule = "\n\n" + "=" * 80 + "\n"
Path(folder, "THIRD-PARTY.txt").write_text(
    "What is linked into sqlite-rembed besides its own code, and under which licence. So is the Rust standard library:\n"
    "MIT OR Apache-2.0, Copyright (c) The Rust Project contributors."
    + "".join(f"{rule}{chr(10).join(names)}\n{'-' * 80}\n{text}" for text, names in by_text.items())
    + "\n"
)

checksums = {
    (name, version): checksum
    for name, version, checksum in re.findall(
        r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"', (Path(__file__).parents[1] / "Cargo.lock").read_text()
    )
}


def component(package):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in checksums:
        found["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
    return found


ref = {id: component(p)["bom-ref"] for id, p in packages.items()}
sbom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {"component": component(root)},
    "components": [component(p) for p in crates],
    "dependencies": [
        {"ref": ref[node["id"]], "dependsOn": sorted(ref[d] for d in node["dependencies"] if d in ref)}
        for node in metadata["resolve"]["nodes"]
        if node["id"] in ref
    ],
}
Path(folder, "sbom.cdx.json").write_text(json.dumps(sbom, indent=1) + "\n")
