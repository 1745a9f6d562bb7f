#!/usr/bin/env bash
# The default tests on the oldest Python found and the lower bound of every dependency.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment.sh
# Wheels of the oldest releases exist for these Pythons only.
for candidate in python3.10 "$HOME"/.pyenv/versions/3.10*/bin/python python3.11 python3; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' 2>/dev/null
  then
    python="$candidate"
    break
  fi
done
if [ -z "${python:-}" ]; then
  echo "skipped: no Python 3.10 or 3.11 here to run the oldest dependencies with"
  exit 0
fi
venv="$(mktemp -d)/venv"
trap 'rm -rf "$(dirname "$venv")"' EXIT
"$python" -m venv "$venv"
"$python" .ci/oldest.py test > "$venv/constraints.txt"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
  -c "$venv/constraints.txt" -e '.[test]'
"$venv/bin/python" -V
# What meets no library but numpy, or the same on any release, or through rooms that are tested.
ours=(fuzz machine compiler fidelity runs axengine test_rooms.py test_how_to_add.py)
"$venv/bin/python" -m pytest -q -n "${TEST_PROCESSES:-2}" --dist worksteal \
  -p no:cacheprovider "${ours[@]/#/--ignore=tests/}"
