#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The scales of GGUF's NVFP4 blocks are not the E4M3 floats of other NVFP4 files.
#
# Versions: gguf 0.19.0, libgguf 0.2.2, numpy 2, Python 3.11.
#
# Behaviour: an NVFP4 block has a scale of eight bits for each 16 elements. In NVIDIA's format and in safetensors it is
# an E4M3 float: the highest bit is the sign, and 0x7F is NaN. GGUF's readers take it as an unsigned float. They ignore
# the highest bit, so 0xB8 is 1 and not -1, and 0x7F is 0 and not NaN, while 0xFF, which is NaN too, is 480. A reader
# that converts the byte with a library's E4M3 type differs for these codes, and one that shows NaN as a damaged file
# does not find it here.
#
# Seen: "0x38: 1, 0xb8: 1, 0x7f: 0, 0xff: 480", by both packages.
#
# Installs the packages in a temporary folder, dequantizes blocks of ones, and fails if the numbers are others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-cache-dir --no-compile gguf==0.19.0 libgguf==0.2.2
"$folder/venv/bin/python" - <<'PYTHON'
import gguf
import libgguf
import numpy as np

kind = gguf.GGMLQuantizationType.NVFP4
for dequantize in (gguf.quants.dequantize, libgguf.dequantize_rows):
    seen = []
    for code in (0x38, 0xB8, 0x7F, 0xFF):
        block = np.full((1, 36), 0x22, np.uint8)  # 36 bytes: four scales, then four-bit floats that are all 1
        block[0, :4] = code
        seen.append(f"{code:#x}: {dequantize(block, kind)[0, 0]:g}")
    print(", ".join(seen))
    assert ", ".join(seen) == "0x38: 1, 0xb8: 1, 0x7f: 0, 0xff: 480", "the behaviour changed"
PYTHON
