#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian machine to a language model that writes SQL: installs packages, builds, fetches the model, writes
# the questions, trains soft tokens on the CPU, and shows the answers before and after.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# All settings.
epochs=1
batch=8
learning_rate=2.5e-3
soft_tokens=32
bottleneck=64
seed=0
base_limit=40 # questions for the untrained model: it is slow to stop, and no answer is correct
test_limit=0  # questions for the trained model; 0: all
questions=3   # questions whose answers are shown before and after

source scripts/need.sh
out=build/quickstart
mkdir -p "$out"
adapter=$out/adapter
programs=build/release/examples
step() { printf '\n== %s  (%d min %02d s)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

step "What is needed"
need "${build_needs[@]}"
model=$(bash scripts/fetch_model.sh)

step "Build"
cmake --preset release >"$out/configure.log"
cmake --build --preset release --target make_sql_data train evaluate generate

step "Data: questions about tables, and the SQL that answers them"
"$programs/make_sql_data" --out "$out/data" --seed "$seed"

# Prints field $2 of line $1 of the test questions.
field() { python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).readlines()[int(sys.argv[2])])[sys.argv[3]])' \
  "$out/data/test.jsonl" "$1" "$2"; }
ask() { "$programs/generate" --model "$model" --prompt "$(field "$1" prompt)" --max-new 64 "${@:2}" | sed -n 1,3p; }

step "Before"
before=()
for ((i = 0; i < questions; ++i)); do before+=("$(ask "$i")"); done
"$programs/evaluate" --model "$model" --data "$out/data/test.jsonl" --metric exact --limit "$base_limit" --max-new 64 |
  tee "$out/before.txt"

step "Train"
"$programs/train" --model "$model" --method iapt --train "$out/data/train.jsonl" --dev "$out/data/dev.jsonl" \
  --out "$adapter" --epochs "$epochs" --batch "$batch" --learning-rate "$learning_rate" --seed "$seed" \
  --soft-tokens "$soft_tokens" --bottleneck "$bottleneck" --overwrite

step "After"
limit=()
[ "$test_limit" -gt 0 ] && limit=(--limit "$test_limit")
"$programs/evaluate" --model "$model" --adapter "$adapter" --data "$out/data/test.jsonl" --metric exact "${limit[@]}" |
  tee "$out/after.txt"

for ((i = 0; i < questions; ++i)); do
  printf '\n%s\n  before:   %s\n  after:    %s\n  expected: %s\n' "$(field "$i" prompt)" "${before[i]}" \
    "$(ask "$i" --adapter "$adapter")" "$(field "$i" completion)"
done

step "Done"
echo "before: $(tail -n 1 "$out/before.txt")"
echo "after:  $(tail -n 1 "$out/after.txt")"
echo "The adapter is in $adapter."
