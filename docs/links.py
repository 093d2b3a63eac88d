"""The site's pages and pictures that lie outside of docs/, and the links between both: a hook of mkdocs.yml."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"README.md": "index.md", "SECURITY.md": "SECURITY.md", "compat-matrix.md": "compat-matrix.md",
         "bench/results/throughput.svg": "throughput.svg"}
LINK = re.compile(r"\[([^\]\n]+)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def relink(markdown, folder):
    """Links to files of the repository that are no page become the file's name."""

    def one(link):
        text, path, heading = link[1], posixpath.normpath(posixpath.join(folder, link[2])), link[3] or ""
        if path in PAGES:
            return f"[{text}]({PAGES[path]}{heading})"
        if path.startswith("docs/") and path.endswith(".md"):
            return f"[{text}]({path.removeprefix('docs/')}{heading})"
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"[{text}]({link[2]})")
        return text if text == path else f"{text} (`{path}`)"

    return LINK.sub(one, markdown)


def on_files(files, config):
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".md"):
            text = relink(text, "")
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    return markdown if page.file.src_uri in PAGES.values() else relink(markdown, "docs")
