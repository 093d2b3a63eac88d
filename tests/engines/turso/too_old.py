#!/usr/bin/python3
"""Loads the library into hosts of the API's older families: the shell `tursodb` of npm's turso 0.6.0, and pylimbo,
which this Python has (requirements.txt).

    too_old.py LIBRARY FOLDER

They must refuse it, say why, and go on. FOLDER keeps what npm installs. The last line has the counts.
"""

import os
import subprocess
import sys

library, folder = map(os.path.abspath, sys.argv[1:3])
WHY = "rembed: this library is for Turso 0.7 to 0.9, and the host that loads it is Limbo or Turso before 0.7"


def tursodb():
    home = os.path.join(folder, "npm")
    shell = os.path.join(home, "node_modules/@tursodatabase/cli-linux-x64-gnu/tursodb")
    if not os.path.exists(shell):
        os.makedirs(home, exist_ok=True)
        options = ["--silent", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix", home]
        subprocess.run(["npm", "install", *options, "turso@0.6.0"], check=True, stdout=sys.stderr)
        os.chmod(shell, 0o755)
    script = f".load {library}\nSELECT 'still ' || 'here';\n"
    return [shell, "-q", "-m", "list", ":memory:"], script


def pylimbo():
    script = f"""
import limbo
db = limbo.connect(":memory:").cursor()
try:
    db.execute("SELECT load_extension('{library}')").fetchall()
except Exception as e:
    print(e)
print(db.execute("SELECT 'still ' || 'here'").fetchall())
"""
    return [sys.executable, "-"], script


passed = failed = 0
for host in (tursodb, pylimbo):
    command, script = host()
    ran = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)
    said = ran.stdout + ran.stderr
    good = WHY in ran.stderr and "Extension registration failed" in said and "still here" in ran.stdout
    good = good and ran.returncode == 0
    print(f"{'ok  ' if good else 'FAIL'} {host.__name__}: {said.strip()!r}, exit code {ran.returncode}")
    passed, failed = passed + good, failed + (not good)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
