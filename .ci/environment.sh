# Sourced by ./run and ./test: makes the virtual environment .venv with the given extras.
# usage: environment [EXTRA,…]   (from the project's folder)
# Does nothing when pyproject.toml has not changed since these extras were installed.

# Packages are installed without bytecode and compiled as they are first imported. Where it may not
# be kept, every process compiles all it imports again: matplotlib and pandas for four seconds.
unset PYTHONDONTWRITEBYTECODE

python_command() {
  # The newest Python on the path that axsim supports.
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "axsim needs Python 3.10 or newer; set PYTHON to one" >&2
  return 1
}

environment() {
  local extras="${1:-}" venv="${VENV:-.venv}" python stamp
  stamp="$venv/.axsim-${extras:-core}"
  if [ -x "$venv/bin/axsim" ] && cmp -s pyproject.toml "$stamp" 2>/dev/null; then
    return
  fi
  echo "Installing axsim${extras:+[$extras]} into $venv …" >&2
  if [ ! -x "$venv/bin/pip" ]; then
    python="$(python_command)"
    "$python" -m venv --clear "$venv" || {
      echo "$python can't make virtual environments (on Debian: apt-get install python3-venv)" >&2
      return 1
    }
  fi
  # Compiled at first import in place of all at once: saves a third of the installation.
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    -e ".${extras:+[$extras]}"
  cp pyproject.toml "$stamp"
}
