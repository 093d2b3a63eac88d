"""One side of bench/local.sh, in a process of its own: load, then all headlines, then one at a time."""

import os
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "target/local/model"
LINES = (ROOT / "target/local/headlines.tsv").read_text(encoding="utf-8").splitlines()
TEXTS = [line.split("\t")[1] for line in LINES]


def ours():
    import pysqlite3 as sqlite3

    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(os.environ["REMBED_LIB"])
    db.execute("SELECT rembed_register('m', 'format', 'local', 'cache', 'off', 'model', ?)", [str(MODEL)])
    db.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT)")
    db.executemany("INSERT INTO texts(text) VALUES (?)", [[text] for text in TEXTS])

    def one(text):
        db.execute("SELECT rembed('m', ?)", [text]).fetchone()

    def every():
        rows = db.execute("SELECT embedding FROM rembed_rows('m', 'SELECT id, text FROM texts')").fetchall()
        assert len(rows) == len(TEXTS)

    # The first text loads the model.
    return lambda: one("load"), every, one


def theirs():
    import numpy as np
    import onnxruntime as ort
    from tokenizers import Tokenizer

    state = {}

    def load():
        options = ort.SessionOptions()
        options.intra_op_num_threads = os.cpu_count()
        model = str(MODEL / "model.onnx")
        state["session"] = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        state["tokenizer"] = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        state["tokenizer"].no_padding()
        state["tokenizer"].enable_truncation(256)
        one("load")

    def run(batch):
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = state["session"].run(["last_hidden_state"], feed)
        vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def one(text):
        return run([state["tokenizer"].encode(text).ids])

    def every():
        # As sentence-transformers does it: sorted by length, 32 at a time.
        tokens = sorted((each.ids for each in state["tokenizer"].encode_batch(TEXTS)), key=len)
        for i in range(0, len(tokens), 32):
            run(tokens[i : i + 32])

    return load, every, one


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main():
    side = sys.argv[1]
    load, every, one = {"ours": ours, "theirs": theirs}[side]()
    loaded = timed(load)
    bulk = min(timed(every) for _ in range(5))
    single = timed(lambda: [one(text) for text in TEXTS[:100]]) / 100
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{side:6}  load {loaded:.2f} s   {len(TEXTS) / bulk:4.0f} short texts/s   one text {single * 1000:.1f} ms   peak {peak} MB"
    )


if __name__ == "__main__":
    main()
