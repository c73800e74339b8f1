# SPDX-License-Identifier: Apache-2.0
# Sourced: `need PACKAGE...` installs the Debian packages that are missing. PROGRAM:PACKAGE asks for the package only
# where no such program is there, and /PATH:PACKAGE where no such file is, so that a newer one is left alone.

need() {
  local wanted missing=() sudo=()
  for wanted in "$@"; do
    case $wanted in
      /*:*) [ -e "${wanted%%:*}" ] || missing+=("${wanted#*:}") ;;
      *:*) command -v "${wanted%%:*}" >/dev/null || missing+=("${wanted#*:}") ;;
      *) [ "$(dpkg-query -W -f='${db:Status-Status}' "$wanted" 2>/dev/null)" = installed ] || missing+=("$wanted") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    echo "iapt: this machine has no apt-get; if the build stops, install what these Debian packages hold: ${missing[*]}" >&2
    return 0
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "iapt: missing packages, and neither root nor sudo to install them. As root:" >&2
      echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    sudo=(sudo)
  fi
  echo "iapt: installing ${missing[*]}" >&2
  "${sudo[@]}" apt-get update -qq || echo "iapt: apt-get update failed; trying with the lists that are there" >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
}

# What every build needs.
build_needs=(g++:g++ cmake:cmake ninja:ninja-build python3:python3 ccache:ccache libeigen3-dev libdnnl-dev
  nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcli11-dev /usr/include/boost/beast.hpp:libboost-dev
  libsodium-dev libbenchmark-dev ca-certificates)

# download_wheel PACKAGE FOLDER: downloads a Python package, installs nothing, and sets `work` to a folder of its own in
# FOLDER that holds it and ends with the script.
download_wheel() {
  need python3:python3
  python3 -m pip --version >/dev/null 2>&1 || need python3-pip # any pip will do
  mkdir -p "$2"
  work=$(mktemp -d "$2/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir --dest "$work" "$1" >&2
}

# fetch_headers PACKAGE HEADER FOLDER: brings to FOLDER the headers that a Python package carries, those beside and
# below HEADER's, which is named as it is included. The script ends with FOLDER printed.
fetch_headers() {
  if [ ! -f "$3/$2" ]; then
    echo "iapt: fetching the headers of $1" >&2
    download_wheel "$1" "$(dirname "$3")"
    python3 - "$work" "$2" <<'PYTHON'
import glob, os, pathlib, sys, zipfile
work, header = pathlib.Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(glob.glob(str(work / "*.whl"))[0]) as wheel:
    names = wheel.namelist()
    root = next(n[:-len(header)] for n in names if n.endswith("/" + header) and "include" in n)
    wheel.extractall(work / "wheel", [n for n in names if n.startswith(root)])
os.rename(work / "wheel" / root, work / "headers")
PYTHON
    mv -T "$work/headers" "$3" 2>/dev/null || [ -f "$3/$2" ] # another run may have been faster
  fi
  echo "$3"
}
