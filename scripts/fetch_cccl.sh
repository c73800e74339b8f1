#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings the headers of CCCL (Thrust, CUB, libcu++; Apache-2.0 with LLVM exception) and prints their folder, for
# machines without a CUDA toolkit. The Python package nvidia-cuda-cccl carries them; nothing of it is run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for toolkit in "${CUDA_PATH:-}" "${CUDA_HOME:-}" /usr/local/cuda; do
  if [ -n "$toolkit" ] && [ -f "$toolkit/include/cccl/thrust/version.h" ]; then
    echo "$toolkit/include/cccl"
    exit
  fi
done
folder=$root/.deps/cccl
package=nvidia-cuda-cccl==13.0.85
if [ ! -f "$folder/thrust/version.h" ]; then
  # shellcheck source=scripts/need.sh
  source "$root/scripts/need.sh"
  echo "iapt: fetching the headers of Thrust" >&2
  download_wheel "$package" "$root/.deps"
  python3 - "$work" <<'PYTHON'
import glob, pathlib, sys, zipfile
work = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(glob.glob(str(work / "*.whl"))[0]) as wheel:
    wheel.extractall(work / "wheel", [n for n in wheel.namelist() if "/include/" in n])
found = next((work / "wheel").rglob("thrust/version.h")).parent.parent
found.rename(work / "cccl")
PYTHON
  mv -T "$work/cccl" "$folder" 2>/dev/null || [ -f "$folder/thrust/version.h" ] # another run may have been faster
fi
echo "$folder"
