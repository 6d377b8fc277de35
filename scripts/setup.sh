#!/usr/bin/env bash
# Installs what Calor needs: Debian packages through apt, and LibTorch where there is none. Safe to run again: it
# installs only what is missing.
#
#   scripts/setup.sh              everything to build, test and run
#   scripts/setup.sh --developer  also clang-format and clang-tidy
#
#   CALOR_CUDA=1           fetch the CUDA build of LibTorch (several GB) instead of the CPU build
#   CALOR_SKIP_PACKAGES=1  do not touch the system's packages
#   Torch_DIR, CMAKE_PREFIX_PATH or LIBTORCH_PYTHON name a LibTorch of yours: see cmake/FindLibTorch.cmake
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch_version=2.13.0
cpu_index=https://download.pytorch.org/whl/cpu
cuda_index=https://download.pytorch.org/whl/cu130

say() { printf 'setup: %s\n' "$*"; }

# fail EXPECTED FOUND HINT
fail() {
  printf 'setup: expected %s\n       found    %s\n       to do:   %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# Runs a command; its output is shown only where it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [[ $status != 0 ]]; then tail -n 40 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

wanted_packages() {
  local lists=(scripts/packages.txt)
  if [[ $developer == 1 ]]; then lists+=(scripts/packages-developer.txt); fi
  sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "${lists[@]}"
}

# Prints those of the wanted packages that are not installed.
missing_packages() {
  local installed
  installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
  wanted_packages | grep -vxF "$installed" || true
}

install_packages() {
  if [[ ${CALOR_SKIP_PACKAGES:-0} == 1 ]]; then
    say "packages: left alone (CALOR_SKIP_PACKAGES)"
    return
  fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "apt, to install Debian packages" "no apt on this system" \
      "install the counterparts of these packages, then run again with CALOR_SKIP_PACKAGES=1:
$(wanted_packages | sort | paste -sd' ' | fold -s -w 100 | sed 's/^/                /')"
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  if [[ ${#missing[@]} == 0 ]]; then
    say "packages: all $(wanted_packages | wc -l) installed"
    return
  fi
  local as_root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || fail "root, or sudo, to install packages" "neither" \
      "have an administrator run: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "packages: installing ${#missing[@]} (${missing[*]})"
  quietly "${as_root[@]}" apt-get update -q ||
    say "packages: apt-get update failed; going on with the lists that are there"
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get to install them" "the errors above" "repair what apt-get complains about, then run this again"
}

# Prints the folder of a LibTorch that the build would use; nothing where there is none.
find_libtorch() {
  local options=()
  if [[ $cuda == 1 ]]; then options+=(-DCALOR_CUDA=ON); fi
  cmake "${options[@]}" -P cmake/FindLibTorch.cmake 2>/dev/null | grep -v '^--' || true
}

# pip_install ARGUMENTS...: into the environment under construction.
pip_install() {
  .venv.partial/bin/python3 -m pip install --disable-pip-version-check --no-input "$@"
}

# The version is pinned to the +cpu build (PEP 440 local version), so no index can answer with a CUDA build. torch's
# Python dependencies are left out: C++ needs none of them.
pip_install_cpu() {
  local pin="torch==$torch_version+cpu"
  say "LibTorch: asking pip for $pin"
  if pip_install --quiet --no-deps "$pin" 2>.venv.partial/pip.log; then return; fi
  say "LibTorch: not where pip looks; asking $cpu_index"
  pip_install --no-deps --index-url "$cpu_index" "$pin" || fail "$pin from pip" "the errors above, and before them:
$(tail -n 3 .venv.partial/pip.log)" "check the network, or name a LibTorch of yours: see cmake/FindLibTorch.cmake"
}

# === takes the build without a local version, which on the Python Package Index is the CUDA build. Its dependencies
# are NVIDIA's libraries, which LibTorch needs.
pip_install_cuda() {
  local pin="torch===$torch_version"
  say "LibTorch: asking pip for $pin with CUDA, several GB"
  if pip_install "$pin"; then return; fi
  say "LibTorch: not where pip looks; asking $cuda_index"
  pip_install --index-url "$cuda_index" "torch==$torch_version" ||
    fail "torch $torch_version with CUDA from pip" "the errors above" "check the network and the disk's space"
}

# The environment is made under another name and then renamed, so an interrupted run leaves nothing half done behind.
install_libtorch() {
  local found
  found=$(find_libtorch)
  if [[ -n $found ]]; then
    say "LibTorch: using $found"
    return
  fi
  say "LibTorch: none found; installing $torch_version into .venv (private to this checkout)"
  rm -rf .venv.partial
  python3 -m venv .venv.partial
  if [[ $cuda == 1 ]]; then pip_install_cuda; else pip_install_cpu; fi
  rm -rf .venv
  mv .venv.partial .venv
  found=$(find_libtorch)
  [[ -n $found ]] || fail "a usable LibTorch after installing torch $torch_version" \
    "none ($(cmake -DCALOR_CUDA="$cuda" -P cmake/FindLibTorch.cmake 2>&1 | tail -n 1))" \
    "name a LibTorch of yours: see cmake/FindLibTorch.cmake"
  say "LibTorch: installed in $found"
}

developer=0
cuda=${CALOR_CUDA:-0}
case "${1:-}" in
  "") ;;
  --developer) developer=1 ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0"; [[ $1 == --help ]] && exit 0 || exit 2 ;;
esac
install_packages
install_libtorch
