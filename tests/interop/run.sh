#!/usr/bin/env bash
# Runs clients and mock upstreams that others wrote against the nuncio binary; see README.md.
# Exits non-zero if any test fails. Arguments go to pytest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$here"

fail() { echo "tests/interop/run.sh: $1" >&2; exit 1; }
command -v python3 >/dev/null || fail "python3 (3.11 or newer, with venv) is needed"
command -v npm >/dev/null || fail "npm is needed"

# Installs again only when what the stamp was made from has changed. The stamp is
# written last, so a broken install is repeated.
fresh() { [ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$2" ]; }

pins=$(cat requirements.txt <(python3 --version) | cksum)
if ! fresh .venv "$pins"; then
  python3 -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
  echo "$pins" >.venv/.stamp
fi

pins=$(cat package.json package-lock.json <(uname -sm) | cksum)
if ! fresh node_modules "$pins"; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  echo "$pins" >node_modules/.stamp
fi

# openai 7 needs Node 22: package.json brings it for Linux, elsewhere the machine's must do.
node=node_modules/.bin/node
[ -x "$node" ] || node=node
[ "$("$node" -p 'process.versions.node.split(".")[0]')" -ge 22 ] || fail "Node 22 or newer is needed"

if [ -z "${NUNCIO_BIN:-}" ]; then
  (cd "$root" && cargo build --quiet)
  NUNCIO_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/nuncio
fi
export NUNCIO_BIN
[ -x "$NUNCIO_BIN" ] || fail "no nuncio binary at $NUNCIO_BIN"

# The libraries under test report to nobody and fetch nothing: loopback is all there is.
unset "${!OPENAI_@}" "${!LANGCHAIN_@}" "${!LANGSMITH_@}" "${!AIMOCK_@}" "${!LLMOCK_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
export DO_NOT_TRACK=1 LANGSMITH_TRACING=false OPENAI_AGENTS_DISABLE_TRACING=1 LITELLM_LOCAL_MODEL_COST_MAP=True HF_HUB_OFFLINE=1

status=0
.venv/bin/python -B -m pytest "$@" || status=1
"$node" --test --test-reporter=spec node/*.test.js || status=1
exit "$status"
