"""The counting of checks, and what is compared."""

import math
import sys


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, what, holds):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}", file=sys.stderr)

    def same(self, what, got, wanted):
        self.that(f"{what}: got {short(got)}, wanted {short(wanted)}", got == wanted)

    def raises(self, what, kind, call, status=None):
        """The call must end in this exception, and not in one above or below it."""
        try:
            got = call()
        except Exception as error:
            code = getattr(error, "status_code", None)
            right = type(error) is kind and status in (None, code)
            self.that(f"{what}: {type(error).__name__} {code}: {error}", right)
        else:
            self.that(f"{what}: no error but {short(got)}", False)

    def run(self, function, *args):
        """An exception fails one check, and the next function still runs."""
        try:
            function(self, *args)
        except Exception as error:
            self.that(f"{function.__name__}: {type(error).__name__}: {error}", False)


def short(value):
    text = repr(value)
    return text if len(text) < 200 else text[:200] + "…"


def bits(vector):
    """As f32: what a JSON number and a base64 string must agree on."""
    import numpy

    return numpy.asarray(vector, dtype=numpy.float32).tobytes()


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / length(a) / length(b)
