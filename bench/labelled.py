"""What rembed_index finds in real texts: by words, by meaning and by both, and how near int8 comes to exact f32.

usage: bench/labelled.py [--short], on Debian, with its python3 and numpy (bench/index-requirements.txt). REMBED_LIB is the library, by default
target/release/libsqlite_rembed.so, built with the feature `local`. tests/local/model.sh puts the model, all-MiniLM-L6-v2, where it is
looked for. The index stays in target/labelled: a second run embeds no text again.

A document is a long description of a package of Debian's main section, and its question is the package's synopsis. The rules:
- Of the packages of one source, the one with the source's name counts, else the first by name. So no -dev, -doc or -dbg beside it.
- The synopsis, the package's name and the source's name are taken out of the document. It is cut at LENGTH characters.
- A document of less than LEAST characters is left out. So is one that begins with the same BEGINNING characters as another before it
  by name: families of packages share an introduction.
- Each STEP-th document by name has its question asked, unless another document has the same synopsis.
"""

import glob
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
from index import K, ROOT, SHORT, connect, find, recall, timed, truth

FOLDER = os.path.join(ROOT, "target/labelled")
MODEL = os.path.join(ROOT, "target/local/model")
# A text of LENGTH is about as long as the model reads.
LENGTH, LEAST, BEGINNING, STEP = 1000, 200, 100, 8
# Of how many sources one is taken.
SPARSE = 20 if SHORT else 1
PARTS = 1 if SHORT else 20


def lists(kind):
    """Debian's own list of the packages' fields or descriptions, as stanzas."""
    with open("/etc/os-release") as release:
        codename = re.search(r"^VERSION_CODENAME=(\w+)", release.read(), re.M)[1]
    pattern = os.path.join(FOLDER, f"lists/*_dists_{codename}_main_{kind}*")
    if not glob.glob(pattern):
        os.makedirs(os.path.join(FOLDER, "lists/partial"), exist_ok=True)
        # In a folder of their own, since a machine may have its lists without descriptions.
        folders = [f"-oDir::State::Lists={os.path.abspath(FOLDER)}/lists", f"-oDir::Cache={os.path.abspath(FOLDER)}"]
        subprocess.run(["apt-get", "update", "-q", "-oAcquire::Languages=en", *folders], check=True, stdout=sys.stderr)
    cat = ["/usr/lib/apt/apt-helper", "cat-file", *sorted(glob.glob(pattern))]
    text = subprocess.run(cat, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    return text.strip().split("\n\n")


def field(stanza, name):
    found = re.search(rf"^{name}: (.*(?:\n .*)*)", stanza, re.M)
    return found and found[1]


def without(text, phrases):
    """The text in one line, without these words."""
    for phrase in phrases:
        text = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", " ", text, flags=re.I)
    return " ".join(text.split())


def cut(text):
    """The words that end within LENGTH characters."""
    return text if len(text) <= LENGTH else text[: LENGTH + 1].rpartition(" ")[0]


def documents():
    """Pairs of a question and its document, by the rules above."""
    sources = defaultdict(list)
    for stanza in lists("binary-"):
        name = field(stanza, "Package")
        sources[(field(stanza, "Source") or name).split()[0]].append(name)
    described = {}
    for stanza in lists("i18n_Translation-en"):
        described.setdefault(field(stanza, "Package"), field(stanza, "Description-en"))
    chosen, begun = {}, set()
    for source in sorted(sources)[::SPARSE]:
        name = source if source in sources[source] else min(sources[source])
        synopsis, _, description = described.get(name, "").partition("\n")
        # A line of one dot is a blank one.
        text = " ".join(line for line in description.split("\n") if line != " .")
        chosen[name] = synopsis, without(" ".join(text.split()), [synopsis, name, source])
    for _, (synopsis, text) in sorted(chosen.items()):
        if len(text) >= LEAST and text[:BEGINNING] not in begun:
            begun.add(text[:BEGINNING])
            yield synopsis, cut(text)


def indexed(texts):
    """A database whose index has these texts, and no others."""
    db = connect(os.path.join(FOLDER, "short.db" if SHORT else "index.db"))
    db.execute("SELECT rembed_register('c', 'format', 'local', 'model', ?, 'truncate', 1)", [MODEL])
    db.executescript("""
        PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        CREATE TABLE IF NOT EXISTS docs(id INTEGER PRIMARY KEY, body TEXT);
        CREATE VIRTUAL TABLE IF NOT EXISTS docs_index
        USING rembed_index(client = 'c', content = 'docs', columns = 'body', chunk_size = 0);
        BEGIN;
    """)
    db.execute("DELETE FROM docs WHERE id > ?", [len(texts)])
    # An update to the same text is none for the index.
    upsert = "INSERT INTO docs VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET body = excluded.body"
    db.executemany(upsert, enumerate(texts, 1))
    db.execute("COMMIT")
    (report,) = db.execute("SELECT rembed_sync('docs_index')").fetchone()
    print(f"sync: {report}", file=sys.stderr, flush=True)
    status = db.execute("SELECT rows, pending, failed FROM rembed_index_status('docs_index')").fetchone()
    assert status == (len(texts), 0, 0), status
    return db


def exact(db, questions):
    """The K nearest of each question, by its own vector and those that the index has."""
    db.execute("SELECT rembed_prefetch('c', ?, 'query')", [json.dumps(questions)])
    blobs = [db.execute("SELECT rembed('c', ?, 'query')", [question]).fetchone()[0] for question in questions]
    asked = np.frombuffer(b"".join(blobs), "<f4").reshape(len(questions), -1)
    both = "docs_index_vectors AS v JOIN docs_index_chunks AS c ON c.id = v.chunk"
    stored = db.execute(f'SELECT c."row", v.vector FROM {both}').fetchall()
    rows = np.array([row for row, _ in stored])
    vectors = np.frombuffer(b"".join(vector for _, vector in stored), "<f4").reshape(len(stored), -1)
    # In parts, since each has the cosines of all questions.
    return truth(asked, zip(np.array_split(rows, PARTS), np.array_split(vectors, PARTS)))


def plain(db, questions):
    """What FTS5 finds without the index: any of the words, by its own bm25."""
    db.execute("CREATE VIRTUAL TABLE temp.plain USING fts5(body, tokenize = 'porter unicode61')")
    db.execute("INSERT INTO temp.plain(rowid, body) SELECT id, body FROM docs")
    words = [" OR ".join('"' + word.replace('"', '""') + '"' for word in question.split()) for question in questions]
    return timed(db, f"SELECT rowid FROM temp.plain WHERE plain MATCH ? ORDER BY rank LIMIT {K}", words)[1]


def main():
    pairs = list(documents())
    db = indexed([text for _, text in pairs])
    often = Counter(synopsis.lower() for synopsis, _ in pairs)
    by_row = enumerate((synopsis for synopsis, _ in pairs), 1)
    asked = {row: synopsis for row, synopsis in by_row if row % STEP == 0 and often[synopsis.lower()] == 1}
    questions = list(asked.values())
    length = sum(len(text) for _, text in pairs) / len(pairs)
    print(f"{len(pairs)} documents of {length:.0f} characters, {len(questions)} questions", flush=True)

    near = exact(db, questions)
    found = {mode: timed(db, find(mode), questions)[1] for mode in ["words", "vector", "hybrid"]}
    found["FTS5 itself"] = plain(db, questions)
    # A search for chunks computes the exact cosines of 2 × K, one for rows those of more.
    _, chunks = timed(db, find("vector", per_chunk=1), questions)
    print(f"recall@{K} of exact f32: {recall(found['vector'], near):.4f} for rows, {recall(chunks, near):.4f} for chunks")

    right = {mode: np.array([rows[:1] == [row] for row, rows in zip(asked, of_all)]) for mode, of_all in found.items()}
    for mode, of_all in found.items():
        within = np.mean([row in rows for row, rows in zip(asked, of_all)])
        gained, lost = np.sum(right["hybrid"] & ~right[mode]), np.sum(~right["hybrid"] & right[mode])
        beside = "" if mode == "hybrid" else f"; hybrid has {gained} right that it has not, and lacks {lost} that it has"
        print(f"{mode}: R@1 {right[mode].mean():.3f}, R@{K} {within:.3f}{beside}")


if __name__ == "__main__":
    main()
