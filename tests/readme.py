#!/usr/bin/python3
"""Runs every fenced block of README.md and docs/*.md, in order, against the fake provider: nothing is skipped.

    tests/readme.py [FILE …]
    tests/readme.py --self-test

REMBED_LIB=/path/to/libsqlite_rembed.so tests a library that is already built.

  sh      runs with bash -euo pipefail in the repository
  sql     all of them in one session of the sqlite3 shell in the repository, which has sqlite-vec and loads rembed as
          the README says; `-- → value` at the end of a statement, or in lines of its own after it, is what it prints
          (… stands for any text). A SELECT that gives no row fails, and what changes rows and changes none
  python js rust cpp c   lines of a file below examples/, character for character, that one of RUNNERS runs
  json    is valid
  text    output, not run
  other   a failure

A comment before a block changes that:
  <!-- test: error TEXT -->          sql: one statement fails, with TEXT in its message
  <!-- test: no row -->              sql: one statement gives or changes no row
  <!-- test: config -->              json: is loaded as REMBED_CONFIG
  <!-- test: by tests/run.sh -->     sh: names executables of the repository that tests/run.sh runs
  <!-- test: excerpt -->             sh: lines of a script below examples/, as those of python and others
  <!-- test: lines of examples -->   a table: the code in each row is a line of the example that the row links, which
                                     one of RUNNERS runs
"""

import json
import os
import re
import select
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests/fake"))
from launch import Fake  # noqa: E402

SERVERS = re.compile(r"http://localhost:(11434|8080)\b")
KEYS = re.compile(r"\b[A-Z][A-Z0-9_]*_KEY\b")
EXCERPTS = {"sh": (".sh",), "python": (".py",), "js": (".js", ".mjs"), "rust": (".rs",), "cpp": (".cpp", ".h"), "c": (".c", ".h")}
# Of a program that is an example.
SOURCES = {suffix for each in EXCERPTS.values() for suffix in each} | {
    ".sql", ".ts", ".php", ".rb", ".pl", ".R", ".go", ".java", ".tcl"
}
RUNNERS = ("tests/examples.sh", "tests/hosts.sh", "tests/servers.py")
SECONDS = {"sh": 900, "sql": 60, "json": 60}

FENCE = re.compile(r"( *)(`{3,}|~{3,})[ \t]*([^`\n]*)$")
ROW = re.compile(r".*`([^`]+)` \|.*\]\((?:\.\./)?(examples/[\w-]+)\)")
COMMENT = re.compile(r"\s*<!--\s*(.*?)\s*-->\s*$")
# Of statements that give or change rows. PRAGMA may print nothing, and CREATE changes none.
MATCHING = re.compile(r"\s*(SELECT|VALUES|WITH|INSERT|REPLACE|UPDATE|DELETE)\b", re.IGNORECASE)
EXPECTED = re.compile(r"--\s*→ ?(.*)$")


class Failure(Exception):
    """Why a block does not pass."""


class Block:
    def __init__(self, line, language, comments):
        self.line, self.language, self.lines = line, language, []
        self.directives = [c.removeprefix("test:").strip() for c in comments if c.startswith("test:")]
        self.fails_with = next((c.removeprefix("self-test: fails with ") for c in comments if "self-test:" in c), None)

    def text(self):
        return "\n".join(self.lines)


def blocks_of(text):
    """The fenced blocks, and a Failure for what looks like one but is none."""
    blocks, block, fence, comments, table = [], None, None, [], None
    for number, line in enumerate(text.splitlines(), start=1):
        match = FENCE.match(line)
        if block is not None:
            if match and match[2].startswith(fence[2]) and not match[3].strip():
                blocks.append(block)
                block = None
            else:
                # As much as the fence is indented: it may be in a list.
                block.lines.append(re.sub(f"^ {{0,{len(fence[1])}}}", "", line))
        elif match:
            words = match[3].split()
            block, fence = Block(number, words[0] if words else "", comments), match
            comments = []
        elif comment := COMMENT.match(line):
            comments.append(comment[1])
        elif line.startswith("|") and comments:
            # A table that a comment stands before: head and rule, then its rows.
            blocks.append(Block(number, "table", comments))
            table, comments = blocks[-1].lines, []
            table.append(line)
        elif line.startswith("|") and blocks and blocks[-1].language == "table" and table is not None:
            table.append(line)
        elif not line.strip():
            table = None
        else:
            if any(c.startswith("test:") for c in comments):
                raise Failure(f"line {number}: no block follows <!-- {comments[-1]} -->")
            comments = []
    if block is not None:
        raise Failure(f"line {block.line}: the block does not end")
    if comments and comments[-1].startswith("test:"):
        raise Failure(f"no block follows <!-- {comments[-1]} -->")
    return blocks


class Shell:
    """One session of the sqlite3 shell, a statement at a time."""

    def __init__(self, root, env):
        self.errors = tempfile.TemporaryFile()
        # Line by line, so that what a statement prints is here before the next one is sent.
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "/usr/bin/sqlite3", "-batch", ":memory:"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, cwd=root, env=env,
        )
        self.marks = self.errors_read = 0
        if error := self.run(f".load '{env['VEC_LIB']}'")[1]:
            raise Failure(error)

    def run(self, statement):
        """What it printed, and its error."""
        self.marks += 1
        mark = f"<<end of statement {self.marks}>>"
        try:
            self.process.stdin.write(f"{statement}\n.print {mark}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure("the sqlite3 shell has ended") from None
        output, end = b"", time.monotonic() + SECONDS["sql"]
        while not output.endswith(f"{mark}\n".encode()):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                self.process.kill()
                raise Failure(f"still running after {SECONDS['sql']} s: {statement}")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise Failure(f"the sqlite3 shell has ended: {statement}")
            output += chunk
        # Written by the shell before the mark, so it is all there. pread, since the shell shares the offset.
        error = os.pread(self.errors.fileno(), 1 << 20, self.errors_read)
        self.errors_read += len(error)
        error = error.decode(errors="replace").strip()
        return output.decode(errors="replace").removesuffix(f"{mark}\n"), error

    def changes(self):
        """How many rows its statements have changed."""
        # In whatever mode the shell prints.
        return int(re.search(r"\d+", self.run("SELECT total_changes() AS n;")[0])[0])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class Runner:
    def __init__(self, root, text, made, url):
        self.root, self.url, self.made = root, url, made
        keys = set(KEYS.findall(text))
        for source in (REPOSITORY / "src").rglob("*.rs"):
            keys.update(KEYS.findall(source.read_text()))
        self.env = {
            **os.environ,
            # Never the real ones of whoever runs this.
            **dict.fromkeys(keys, "dummy"),
            "REMBED_URL": url,
            "REMBED_LIB": made["REMBED_LIB"],
            "VEC_LIB": made["VEC_LIB"],
            "VIRTUAL_ENV": made["VENV"],
            "PATH": f"{made['VENV']}/bin:{os.environ['PATH']}",
        }
        self.shell = Shell(root, self.env)

    def run(self, block):
        """A word about what was done; a Failure otherwise."""
        block.directives = [self.local(d) for d in block.directives]
        if block.language == "sh" and block.directives == ["excerpt"]:
            block.directives.clear()
            run = self.excerpt
        elif block.language in EXCERPTS and block.language != "sh":
            run = self.excerpt
        else:
            run = {"sh": self.sh, "sql": self.sql, "json": self.json, "text": self.output, "table": self.table}.get(block.language)
        if run is None:
            raise Failure(f"no way to test a block of the language '{block.language}'")
        said = run(block)
        if block.directives:
            raise Failure(f"<!-- test: {block.directives[0]} --> means nothing here")
        return said

    def local(self, text):
        return SERVERS.sub(self.url, text)

    def output(self, _block):
        return "output, not run"

    def table(self, block):
        if block.directives != ["lines of examples"]:
            raise Failure("a comment stands before a table, and it is not <!-- test: lines of examples -->")
        block.directives.clear()
        rows = block.lines[2:]
        for row in rows:
            match = ROW.fullmatch(row.rstrip(" |"))
            if match is None:
                raise Failure(f"the row has no line of code before its link to an example: {row}")
            line, folder = match.groups()
            files = files_below(self.root / folder, SOURCES)
            if not any(line in path.read_text() for path in files):
                raise Failure(f"`{line}` is in no file of {folder}")
            self.must_be_run(folder)
        return f"{len(rows)} lines of examples"

    def must_be_run(self, folder):
        # By the folder: a compiled example is run under another name.
        runners = [path for name in RUNNERS if (path := self.root / name).is_file()]
        if not any(re.search(rf"\b{re.escape(folder)}\b", path.read_text()) for path in runners):
            raise Failure(f"none of {', '.join(RUNNERS)} runs {folder}")

    def sh(self, block):
        if block.directives == ["by tests/run.sh"]:
            block.directives.clear()
            return self.by_run_sh(block)
        try:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", self.local(block.text())],
                cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=SECONDS["sh"],
            )
        except subprocess.TimeoutExpired as late:
            raise Failure(f"still running after {SECONDS['sh']} s:\n{(late.output or b'').decode(errors='replace')}")
        if done.returncode != 0:
            raise Failure(f"exit code {done.returncode}:\n{done.stdout.decode(errors='replace')}")
        return "ran"

    def by_run_sh(self, block):
        names = []
        for line in block.lines:
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Za-z_]\w*=", words[0]):
                words.pop(0)
            if words:
                names.append(os.path.normpath(words[0]))
        if not names:
            raise Failure("names no command")
        for name in names:
            path = self.root / name
            if not (path.is_file() and os.access(path, os.X_OK)):
                raise Failure(f"{name} is not an executable file of the repository")
            run = self.root / "tests/run.sh"
            if name != "tests/run.sh" and (not run.is_file() or name not in run.read_text()):
                raise Failure(f"tests/run.sh does not run {name}")
        return f"left to tests/run.sh: {', '.join(names)}"

    def sql(self, block):
        wanted = [d.removeprefix("error ") for d in block.directives if d.startswith("error ")]
        block.directives = [d for d in block.directives if not d.startswith("error ")]
        errors, compared, unmatched = [], 0, []
        may_match_nothing = "no row" in block.directives
        block.directives = [d for d in block.directives if d != "no row"]
        statements = statements_of(self.local(block.text()))
        if not statements:
            raise Failure("has no statement")
        for statement, expected in statements:
            before = self.shell.changes() if MATCHING.match(statement) else None
            printed, error = self.shell.run(statement)
            if before is not None and not error and not printed and self.shell.changes() == before:
                unmatched.append(statement)
            if error and wanted:
                errors.append(error)
            elif error:
                raise Failure(error)
            if expected is not None and not error:
                compare(statement, expected, printed)
                compared += 1
        if unmatched and not may_match_nothing:
            raise Failure(f"gives or changes no row: {unmatched[0]}")
        if may_match_nothing and len(unmatched) != 1:
            raise Failure(f"{len(unmatched)} statements give or change no row; expected was one")
        if wanted and len(errors) != 1:
            raise Failure(f"{len(errors)} statements failed; expected was one, with: {wanted[0]}")
        if wanted and wanted[0] not in errors[0]:
            raise Failure(f"the error is: {errors[0]}\nand not: {wanted[0]}")
        return f"{len(statements)} statements, {compared} outputs compared" + (", the error came" if wanted else "")

    def json(self, block):
        text = self.local(block.text())
        try:
            config = json.loads(text)
        except ValueError as error:
            raise Failure(f"not valid: {error}") from None
        if block.directives != ["config"]:
            return "valid"
        block.directives.clear()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(text)
            file.flush()
            listed = subprocess.run(
                ["/usr/bin/sqlite3", "-batch", "-bail", ":memory:"],
                input=f".load {self.made['REMBED_LIB']}\nSELECT name FROM temp.rembed_clients;\n",
                env={**self.env, "REMBED_CONFIG": file.name}, capture_output=True, text=True, timeout=SECONDS["json"],
            )
        if listed.returncode != 0:
            raise Failure(listed.stderr.strip())
        names, expected = sorted(listed.stdout.splitlines()), sorted(config.get("clients", {}))
        if not expected or names != expected:
            raise Failure(f"the clients are {names}, and not {expected}")
        return f"loaded: {', '.join(names)}"

    def excerpt(self, block):
        wanted = f"\n{block.text()}\n"
        if not wanted.strip():
            raise Failure("is empty")
        for path in files_below(self.root / "examples", EXCERPTS[block.language]):
            if wanted in f"\n{path.read_text()}\n":
                name = path.relative_to(self.root)
                self.must_be_run("/".join(name.parts[:2]))
                return f"from {name}"
        raise Failure("is not part of a file below examples/")


def files_below(folder, suffixes):
    for path in sorted(folder.iterdir()):
        # What cargo and npm make: others' code and copies.
        if path.is_dir() and path.name not in ("target", "node_modules"):
            yield from files_below(path, suffixes)
        elif path.suffix in suffixes:
            yield path


def statements_of(text):
    """Pairs of what to send to the shell and what it should print, None where the README does not say."""
    statements, statement = [], []
    for line in text.splitlines():
        expected = EXPECTED.search(line)
        code = line[: expected.start()].rstrip() if expected else line
        if statement or (code.strip() and not code.lstrip().startswith("--")):
            statement.append(code)
            whole = "\n".join(statement)
            # A command of the shell is one line, wherever it ends.
            if sqlite3.complete_statement(whole) or statement[0].startswith("."):
                statements.append((whole, None))
                statement = []
        if expected:
            if statement or not statements:
                raise Failure(f"does not come after a statement: {line.strip()}")
            whole, lines = statements[-1]
            statements[-1] = (whole, [*(lines or []), expected[1].rstrip()])
    if statement:
        raise Failure(f"does not end: {' '.join(statement)}")
    return statements


def compare(statement, expected, printed):
    printed = [line.rstrip() for line in printed.splitlines()]
    patterns = [".*".join(map(re.escape, line.split("…"))) for line in expected]
    if len(printed) != len(expected) or not all(map(re.fullmatch, patterns, printed)):
        raise Failure("\n".join([statement, "prints:", *printed, "and not:", *expected]))


def check(path, root, made, url):
    """How many blocks passed and failed."""
    text = path.read_text(encoding="utf-8")
    runner = Runner(root, text, made, url)
    self_test = root != REPOSITORY
    counts = {True: 0, False: 0}
    try:
        for block in blocks_of(text):
            try:
                failure, said = None, runner.run(block)
            except Failure as error:
                failure = said = str(error)
            if self_test and block.fails_with:
                passed = failure is not None and block.fails_with in failure
                said = f"fails as it should: {said}" if passed else f"should fail with '{block.fails_with}': {said}"
            else:
                passed = failure is None
            counts[passed] += 1
            said = said.replace("\n", "\n       ")
            print(f"{'ok  ' if passed else 'FAIL'} {path.name}:{block.line} {block.language or 'no language'}: {said}")
            sys.stdout.flush()
    finally:
        runner.shell.close()
    return counts[True], counts[False]


def check_shapes():
    """The self-test of what cannot be in a file beside other blocks."""
    counts = {True: 0, False: 0}
    for text, reason in [
        ("```sql\nSELECT 1;\n", "line 1: the block does not end"),
        ("<!-- test: config -->\n\nText\n", "line 3: no block follows <!-- test: config -->"),
        ("<!-- test: config -->\n", "no block follows <!-- test: config -->"),
    ]:
        try:
            said = f"{len(blocks_of(text))} blocks"
        except Failure as error:
            said = str(error)
        counts[said == reason] += 1
        print(f"{'ok  ' if said == reason else 'FAIL'} {text!r}: {said}")
    return counts[True], counts[False]


def main():
    self_test = sys.argv[1:] == ["--self-test"]
    root = REPOSITORY / "tests/readme" if self_test else REPOSITORY
    paths = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    if sys.argv[1:] and not self_test:
        paths = [Path(name) for name in sys.argv[1:]]
    for path in paths:
        if not path.is_file():
            sys.exit(f"there is no {path}")

    prepared = subprocess.run([REPOSITORY / "tests/examples.sh", "--prepare"], stdout=subprocess.PIPE, text=True)
    if prepared.returncode != 0:
        sys.exit(prepared.returncode)
    made = dict(word.split("=", 1) for word in shlex.split(prepared.stdout))

    with Fake() as fake:
        passed = failed = 0
        for path in paths:
            try:
                counts = check(path, root, made, fake.url)
            except Failure as error:
                print(f"FAIL {path.name}: {error}")
                counts = 0, 1
            # A page without a block would be one that was not read.
            passed, failed = passed + counts[0], failed + counts[1] + (sum(counts) == 0)
    if self_test:
        more = check_shapes()
        passed, failed = passed + more[0], failed + more[1]
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
