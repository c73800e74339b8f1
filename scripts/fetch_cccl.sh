#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings the headers of CCCL (Thrust, CUB, libcu++; Apache-2.0 with LLVM exception) and prints their folder, for
# machines without a CUDA toolkit. The Python package nvidia-cuda-cccl carries them; nothing of it is run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/need.sh
source "$root/scripts/need.sh"
for toolkit in "${CUDA_PATH:-}" "${CUDA_HOME:-}" /usr/local/cuda; do
  if [ -n "$toolkit" ] && [ -f "$toolkit/include/cccl/thrust/version.h" ]; then
    echo "$toolkit/include/cccl"
    exit
  fi
done
fetch_headers nvidia-cuda-cccl==13.0.85 thrust/version.h "$root/.deps/cccl"
