#!/usr/bin/env bash
# Ten minutes of everything at once, or as many as are asked for: `benches/soak.sh 30`. Fails if the daemon grows.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo bench --bench gateway -- --soak "$((${1:-10} * 60))"
