#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Comparison with PyTorch and PEFT on the same GPU, in one run: training steps, prefill and decoding of SmolLM2-135M's
# and a 7B Llama's shape, random weights in bfloat16, each with its fraction of the measured roofline peak. Needs CUDA
# 13, CMake, Eigen (or its headers in .deps/include/eigen3), and a python3 with torch, transformers and peft; without
# these three only our side is measured. Prints a table, then JSON.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/local/cuda/bin
generator=Ninja
command -v ninja >/dev/null || generator="Unix Makefiles"
cmake -S . -B build/gpu-bench -G "$generator" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-march=native \
  -DCMAKE_CUDA_ARCHITECTURES=native -DIAPT_CUDA=ON -DIAPT_TEXT=OFF -DIAPT_BUILD_TESTS=OFF >&2
cmake --build build/gpu-bench --target gpu_bench --parallel "$(nproc)" >&2
exec python3 bench/gpu.py --program build/gpu-bench/bench/gpu_bench "$@"
