#!/usr/bin/env bash
# Name what this machine lacks, with the line that mends it; `test` also looks for what only the tests need.
set -u
missing=()
has() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }

has git git
has "${PYTHON:-python3}" python3
if command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Gatewright needs Python 3.11 or newer; this is $("${PYTHON:-python3}" --version 2>&1)." >&2
    echo "Set PYTHON, for instance: make demo PYTHON=python3.12" >&2
    exit 2
  }
  "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "Missing here: ${missing[*]}. On Debian and Ubuntu:" >&2
  echo "  apt-get install ${missing[*]}" >&2
  exit 2
fi

[ "${1:-}" = test ] || exit 0
has bwrap bubblewrap
has socat socat
has setpriv util-linux
has openssl openssl
has ssh-keygen openssh-client
if [ ${#missing[@]} -gt 0 ]; then
  echo "Tests of the sandbox or of signatures will be skipped or fail: ${missing[*]} not found. On Debian and Ubuntu:" >&2
  echo "  apt-get install ${missing[*]}" >&2
fi
exit 0
