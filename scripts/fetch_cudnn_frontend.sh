#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings the headers of cuDNN's C++ frontend (MIT) and prints their folder. The Python package nvidia-cudnn-frontend
# carries them; nothing of it is run. cuDNN itself comes with a CUDA toolkit or from NVIDIA.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/need.sh
source "$root/scripts/need.sh"
fetch_headers nvidia-cudnn-frontend==1.32.0 cudnn_frontend.h "$root/.deps/cudnn_frontend/include"
