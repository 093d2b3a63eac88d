"""Writes the Reuters headlines that the lda package carries as `id TAB headline` lines.

They are read at run time, not kept in this repository: README.md in this folder says why.

usage: headlines.py OUT.tsv
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

# As in: 28 USA: FEATURE - Politics discussed backstage. [CORRECTED 09:05 GMT] PASADENA, Calif 1996-09-08
LINE = re.compile(
    r"""(?P<id>\d+)\ [^:]+:\ (?:FEATURE\ ?-\ ?|RTRS-)?
        (?P<headline>.+?)\.+
        (?:\ \[CORRECTED[^]]*\]\.?)?
        \ ?(?:[A-Z][-A-Z .']+(?:,\ [A-Z][A-Za-z. ]+)?\ \d{4}-\d\d-\d\d)?""",
    re.VERBOSE,
)


def main(out):
    package = Path(find_spec("lda").submodule_search_locations[0])
    seen = set()
    with open(out, "w", encoding="utf-8") as tsv:
        for line in (package / "tests" / "reuters.titles").read_text(encoding="utf-8").splitlines():
            match = LINE.fullmatch(line.strip())
            assert match, f"unexpected line: {line}"
            headline = match["headline"]
            # The wire repeated a story, sometimes in capitals.
            if headline.lower() not in seen:
                seen.add(headline.lower())
                tsv.write(f"{match['id']}\t{headline}\n")


if __name__ == "__main__":
    main(sys.argv[1])
