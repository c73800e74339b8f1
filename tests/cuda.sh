#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles and links with nvcc everything that runs on an NVIDIA GPU, for A100, for H100 and as PTX, without a warning,
# and runs what needs no GPU. Skips, saying so, where there is no nvcc. The whole device suite: tests/gpu.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/need.sh
jobs=${JOBS:-$(nproc)}
export PATH=$PATH:/usr/local/cuda/bin
if ! command -v nvcc >/dev/null; then
  echo "skipped: no nvcc (CUDA 13 or later), so nothing of the GPU's code was compiled"
  exit 0
fi
need "${build_needs[@]}" catch2
model=$(bash scripts/fetch_model.sh)
bash scripts/fetch_cudnn_frontend.sh >/dev/null
# -O0 is for the host's part of what nvcc compiles, which takes longer than the GPU's and is hardly run here.
cmake --preset cuda "-DIAPT_TEST_MODEL=$model" -DCMAKE_CUDA_FLAGS_TEST=-O0 \
  "-DCMAKE_CUDA_FLAGS=-Werror all-warnings" "-DIAPT_BATCH=$((64 / jobs + 1))"
cmake --build --preset cuda --parallel "$jobs"
ctest --test-dir build/cuda --output-on-failure -R '^without_a_gpu$|cuda_simulated' --no-tests=error
# Where a GPU is missing a program says so, and says which devices it has.
if said=$(build/cuda/examples/generate --device cuda --model "$model" --prompt x 2>&1); then
  nvidia-smi >/dev/null || { echo "generate --device cuda succeeded without a GPU" >&2; exit 1; }
else
  grep -q 'no GPU can be used on this machine' <<<"$said" || { echo "$said" >&2; exit 1; }
fi
