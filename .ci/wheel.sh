#!/usr/bin/env bash
# Builds the wheel, installs it alone, and uses it from an empty folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment.sh
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python="$(python_command)"
"$python" -m venv "$folder/venv"
start=$SECONDS
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check .
seconds=$((SECONDS - start))
mkdir "$folder/empty"
cd "$folder/empty"
"$folder/venv/bin/axsim" --help > /dev/null
"$folder/venv/bin/axsim" chips
"$folder/venv/bin/axsim" boards
"$folder/venv/bin/axsim" show ax630c > /dev/null
"$folder/venv/bin/axsim" simulate chat --duration 10s > /dev/null
"$folder/venv/bin/axsim" show workloads/internvl2_1b.yaml > /dev/null
"$folder/venv/bin/python" -c 'from axsim.inputs.passage import shipped_page; shipped_page().read_text()'
"$folder/venv/bin/axsim" report qwen3_0_6b --chip ax630c --timing-only --quiet
grep -q 'id="timeline-data"' report.html
site="$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
pip_size="$(du -sm "$site"/pip "$site"/setuptools 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')"
size="$(du -sm "$site" | cut -f1)"
printf 'core install: %d MB, %d s\n' "$((size - pip_size))" "$seconds"
test "$((size - pip_size))" -le 350   # pandas and matplotlib are half of it
