"""Writes graphs/*.onnx: tiny models of random weights, each in the shape of a family, as PyTorch exports it.

What an exporter makes of a family (positions from a cumulative sum, rotary embeddings, distance buckets, windows) is in
the graph whatever its size, and the operators that it needs are what a model fails by. Made once, by PyTorch 1.13 (Debian's
python3-torch), transformers 4.48.3, numpy 1.26.4 and onnx 1.16.2; families.py compares with onnxruntime.

usage: python3 tests/local/make_graphs.py
"""

import inspect
from pathlib import Path

import onnx
import torch

if not hasattr(torch, "compile"):  # it came with PyTorch 2, and nothing here is compiled
    torch.compile = lambda *_, **__: lambda function: function


class LayerNorm(torch.nn.LayerNorm):
    """With the bias left out on request, which came with PyTorch 2.1."""

    def __init__(self, *options, bias=True, **more):
        super().__init__(*options, **more)
        if not bias:
            self.bias = None


if "bias" not in inspect.signature(torch.nn.LayerNorm).parameters:
    torch.nn.LayerNorm = LayerNorm

import transformers  # noqa: E402

SIZE = {"vocab_size": 24, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
BERT = {**SIZE, "max_position_embeddings": 34}
DISTIL = {"vocab_size": 24, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12, "max_position_embeddings": 34}
T5 = {"vocab_size": 24, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 2}
MODERN = {"pad_token_id": 1, "bos_token_id": 0, "cls_token_id": 0, "eos_token_id": 2, "sep_token_id": 2, "local_attention": 8}
FAMILIES = {
    "bert": ("Bert", BERT),
    "xlm-roberta": ("XLMRoberta", {**BERT, "type_vocab_size": 1}),
    "mpnet": ("MPNet", BERT),
    "distilbert": ("DistilBert", DISTIL),
    "roformer": ("RoFormer", {**BERT, "embedding_size": 8}),
    "deberta-v2": ("DebertaV2", BERT),
    "modernbert": ("ModernBert", {**BERT, **MODERN}),
    "t5": ("T5", T5),
}


class Hidden(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs)))[0]


def shortened(model):
    """Without names, which are nine tenths of a tiny model."""
    graph, names = model.graph, {}
    kept = {"", *(each.name for each in [*graph.input, *graph.output])}

    def short(name):
        return name if name in kept else names.setdefault(name, f"{len(names):x}")

    del graph.value_info[:]
    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.node:
        assert not any(attribute.HasField("g") for attribute in node.attribute), "a graph in a graph"
        node.name = node.doc_string = ""
        node.input[:], node.output[:] = map(short, node.input), map(short, node.output)
    onnx.checker.check_model(model)
    return model


def main():
    torch.onnx.register_custom_op_symbolic("aten::logical_not", lambda graph, x: graph.op("Not", x), 16)
    folder = Path(__file__).parent / "graphs"
    folder.mkdir(exist_ok=True)
    for family, (name, options) in FAMILIES.items():
        torch.manual_seed(1)
        config = getattr(transformers, f"{name}Config")(**options)
        config._attn_implementation = "eager"
        model = getattr(transformers, "T5EncoderModel" if name == "T5" else f"{name}Model")(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        ids = torch.randint(4, 24, (2, 7))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        inputs["attention_mask"][1, 5:] = 0
        if "token_type_ids" in inspect.signature(model.forward).parameters and options.get("type_vocab_size") != 1:
            inputs["token_type_ids"] = torch.zeros_like(ids)
        shape = {0: "batch", 1: "length"}
        torch.onnx.export(
            Hidden(model, list(inputs)),
            tuple(inputs.values()),
            path := folder / f"{family}.onnx",
            input_names=list(inputs),
            output_names=["last_hidden_state"],
            dynamic_axes={each: shape for each in [*inputs, "last_hidden_state"]},
            opset_version=16,
        )
        onnx.save(shortened(onnx.load(path)), path)


if __name__ == "__main__":
    main()
