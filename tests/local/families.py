"""Models of other families than MiniLM's, beside onnxruntime with the same files and the tokens of `tokenizers`.

An E5 of real weights; a BERT that is read as BGE wants it; and the graphs of graphs/, which make_graphs.py has written.
run.sh is the way to start it.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import check
import numpy as np
import onnxruntime as ort
from check import MODEL, REFERENCE, ROOT, connect, error_of, register, value
from tokenizers import Tokenizer

E5 = ROOT / "target/local/e5"
GRAPHS = sorted(Path(__file__).parent.glob("graphs/*.onnx"))
TEXTS = [row["text"] for row in REFERENCE]
BGE = "Represent this sentence for searching relevant passages: "


class Judge:
    """What onnxruntime makes of a folder, one text at a time: nothing is padded."""

    def __init__(self, folder, pooling, limit):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self.session = ort.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(limit)
        self.pooling = pooling

    def __call__(self, text):
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        feed = {each.name: feed[each.name] for each in self.session.get_inputs()}
        (hidden,) = self.session.run(["last_hidden_state"], feed)
        vector = hidden[0, 0] if self.pooling == "cls" else hidden[0].mean(0)
        return vector / np.linalg.norm(vector)


def batch(db, client, texts, input_type):
    sql = "SELECT embedding FROM rembed_batch(?, ?, ?)"
    rows = db.execute(sql, [client, json.dumps(texts), input_type]).fetchall()
    return [np.frombuffer(blob, np.float32) for (blob,) in rows]


def lowest_cosine(db, client, texts, judge, prefixes):
    """Of the texts with the prefix of each input type."""
    lowest = 1
    for input_type, prefix in prefixes.items():
        for text, ours in zip(texts, batch(db, client, texts, input_type), strict=True):
            near = float(ours @ judge(prefix + text))
            assert near >= 0.99, (near, input_type, text)
            lowest = min(lowest, near)
    return lowest


def test_e5_wants_its_prefixes():
    db = connect(cache="off")
    register(db, "e5", model=str(E5), truncate=True, cache="off")
    judge = Judge(E5, "mean", 512)
    lowest = lowest_cosine(db, "e5", TEXTS, judge, {"document": "passage: "})
    print(f"     50 texts, the lowest cosine is {lowest:.4f}")
    lowest_cosine(db, "e5", TEXTS[::5], judge, {"query": "query: ", None: "passage: "})
    query, document = (batch(db, "e5", TEXTS[:1], kind)[0] for kind in ("query", "document"))
    assert query @ document < 0.999, "the prefixes change nothing"


def test_e5_finds_over_languages():
    db = connect()
    register(db, "e5", model=str(E5))
    texts = ["Кошка сидит на коврике.", "Die Steuererklärung ist bis Juli fällig.", "火山の噴火でスタジオが失われた。"]
    for question, answer in [("a cat on a rug", 0), ("when are taxes due?", 1), ("eruption destroys a studio", 2)]:
        (ask,) = batch(db, "e5", [question], "query")
        near = [float(ask @ vector) for vector in batch(db, "e5", texts, "document")]
        assert near.index(max(near)) == answer, (question, near)


def test_e5_takes_512_tokens():
    db = connect()
    register(db, "e5", model=str(E5))
    message = error_of(lambda: value(db, "SELECT rembed('e5', ?)", check.LONG))
    assert "takes 512 tokens" in message, message


def test_bge_takes_the_first_token_and_prefixes_queries():
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "bge"
        shutil.copytree(MODEL, model)
        (model / "1_Pooling/config.json").write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
        (model / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": BGE}}))
        db = connect()
        register(db, "bge", model=str(model), truncate=True, cache="off")
        lowest = lowest_cosine(db, "bge", TEXTS, Judge(model, "cls", 256), {"query": BGE, "document": ""})
        print(f"     50 texts with and without the prefix, the lowest cosine is {lowest:.4f}")
        assert value(db, "SELECT rembed('bge', 'x')") == value(db, "SELECT rembed('bge', 'x', 'document')")


def test_each_familys_graph():
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **{f"w{i}": i for i in range(4, 24)}}
    # Texts of many lengths, so that batches are padded.
    texts = [" ".join(f"w{4 + (length * 7 + i * i) % 20}" for i in range(length)) for length in [*range(1, 31), 5, 5, 9]]
    for graph in GRAPHS:
        for pooling in ("mean", "cls"):
            with tempfile.TemporaryDirectory() as folder:
                model = Path(folder)
                shutil.copy(graph, model / "model.onnx")
                (model / "tokenizer.json").write_text(json.dumps(word_tokenizer(words)))
                (model / "1_Pooling").mkdir()
                (model / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode": pooling}))
                db = connect()
                register(db, graph.stem, model=str(model), cache="off")
                lowest = lowest_cosine(db, graph.stem, texts, Judge(model, pooling, 512), {None: ""})
                # These are no int8 weights: nothing is rounded.
                assert lowest > 0.9999, (graph.stem, pooling, lowest)
        print(f"     {graph.stem}: {lowest:.6f}")


def word_tokenizer(words):
    special = {token: {"id": token, "ids": [words[token]], "tokens": [token]} for token in ("<s>", "</s>")}
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in special)
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for kind, name in enumerate("AB"))
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first, end],
            "pair": [begin, first, end, second, end],
            "special_tokens": special,
        },
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"},
    }


if __name__ == "__main__":
    assert len(GRAPHS) == 8, GRAPHS
    sys.exit(check.main(globals()))
