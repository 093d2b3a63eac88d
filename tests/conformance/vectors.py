#!/usr/bin/env python3
"""The provider's vectors, worked out a second time from the description in tests/fake/src/vector.rs.

    vectors.py [--width 8] [--type query] [--scale 1] TEXT …    a BLOB literal for each text, as *.slt files have them
    vectors.py --check                                          are all literals of *.slt such vectors?
    vectors.py --rank [--width 64] QUERY < texts                lines of standard input, nearest first

What the files expect comes from here, not from the extension's own answers.
"""

import argparse
import math
import pathlib
import re
import struct
import sys

MASK = (1 << 64) - 1
BLOCK, BLOCKS_PER_HASH = 16, 12
WORD, TRIGRAM, JITTER = 64, 32, 4
TYPE_ENERGY = 0.06


def mix(state):
    """One step of splitmix64."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def digest(family, text):
    """FNV-1a, mixed."""
    state = 0xCBF29CE484222325 ^ mix(family)
    for byte in text.encode():
        state = (state ^ byte) * 0x100000001B3 & MASK
    return mix(state)


def words(text):
    return "".join(c if c.isalnum() else " " for c in text).split()


def embed(text, kind=None, width=8):
    text = text.lower()
    blocks = [[0] * BLOCK for _ in range(-(-width // BLOCK))]
    features = []
    for word in words(text):
        features.append((digest(1, word), WORD))
        padded = f" {word} "
        features += [(digest(2, padded[i : i + 3]), TRIGRAM) for i in range(len(padded) - 2)]
    for state, weight in features:
        for first in range(0, len(blocks), BLOCKS_PER_HASH):
            state = bits = mix(state)
            for block in blocks[first : first + BLOCKS_PER_HASH]:
                block[bits % BLOCK] += -weight if bits >> 4 & 1 else weight
                bits >>= 5

    def spread(state, weight):
        for block in blocks:
            state = mix(state)
            for place in range(BLOCK):
                block[place] += -weight if state >> place & 1 else weight

    if kind:
        energy = BLOCK * JITTER**2 + sum(weight**2 for _, weight in features)
        share = math.floor(math.sqrt(TYPE_ENERGY * energy / BLOCK) + 0.5)
        spread(digest(3, kind), max(share - 1, 0) | 1)
    spread(digest(4, text), JITTER)
    sums = [x for block in blocks for x in block][:width]
    length = math.sqrt(sum(x * x for x in sums))
    return [x / length for x in sums]


def literal(vector):
    return f"x'{struct.pack(f'<{len(vector)}f', *vector).hex()}'"


def encoded(vector):
    """The literals of a vector as bytes, and as bits of which the first dimension is the lowest."""
    numbers = bytes(round(x * 127) & 255 for x in vector)
    bits = sum((x > 0) << place for place, x in enumerate(vector)).to_bytes(-(-len(vector) // 8), "little")
    return f"x'{numbers.hex()}'", f"x'{bits.hex()}'"


def texts_of(line):
    """What an SQL statement or an expected row may embed: its literals, the words and numbers in them, and the whole."""
    strings = [s.replace("''", "'") for s in re.findall(r"'((?:[^']|'')*)'", line)]
    inner = [json for s in strings for json in re.findall(r'"((?:[^"\\]|\\.)*)"', s)]
    numbers = re.findall(r"-?\d+(?:\.\d+)?", line)
    return {*strings, *inner, *numbers}


def check():
    """Each literal of a vector is that of a text in its file, in one of the types."""
    unknown, known = [], 0
    for path in sorted(pathlib.Path(__file__).parent.glob("*.slt")):
        source = path.read_text()
        # Texts that SQL puts together.
        texts = {t for line in source.splitlines() for t in texts_of(line)} | {"one\n\ttwo"}
        texts |= {"word " * 10000} if "zeroblob(5000)" in source else set()
        expected = {line for block in re.findall(r"^----\n((?:.+\n)+)", source, re.M) for line in block.split("\n")}
        literals = {word for line in expected for word in re.findall(r"x'[0-9a-f]+'", line)}
        # Of floats the literal says how many; of bytes and bits the provider of the file does.
        widths = {(len(word) - 3) // 8 for word in literals} | {int(n) for n in re.findall(r'"width": (\d+)', source)}
        vectors = [embed(t, kind, w) for w in widths for t in texts for kind in (None, "query", "document")]
        right = {literal([x * scale for x in v]) for v in vectors for scale in (1, 2)}
        right |= {word for v in vectors for word in encoded(v)}
        known += len(literals & right)
        unknown += [f"{path.name}: {word} is no vector of a text in it" for word in sorted(literals - right)]
    print(*unknown, f"{known} passed, {len(unknown)} failed", sep="\n")
    return not unknown


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--width", type=int)
    parser.add_argument("--type")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--rank", action="store_true")
    parser.add_argument("texts", nargs="*")
    asked = parser.parse_args()
    if asked.check:
        sys.exit(0 if check() else 1)
    if asked.rank:
        width = asked.width or 64
        query = embed(asked.texts[0], asked.type, width)
        distance = lambda text: 1 - sum(a * b for a, b in zip(query, embed(text, asked.type, width)))
        for text in sorted((line.rstrip("\n") for line in sys.stdin), key=distance):
            print(f"{distance(text):.3f}  {text}")
        return
    for text in asked.texts:
        print(literal([x * asked.scale for x in embed(text, asked.type, asked.width or 8)]))


main()
