#!/usr/bin/env bash
# Prints how many compilers to run at once: one per core, but no more than memory allows, since a file that includes
# LibTorch takes up to 1.5 GB to compile.
set -euo pipefail
cores=$(nproc)
by_memory=$(awk '/^MemAvailable:/ {print int($2 / 1.5e6)}' /proc/meminfo)
jobs=$((by_memory < cores ? by_memory : cores))
echo $((jobs > 0 ? jobs : 1))
