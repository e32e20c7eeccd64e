# Sourced by the other scripts: sets ROOT (the repository) and PYTHON (an interpreter with everything
# installed). An active environment (venv or conda) is used and never changed. Without one, .venv is made
# here from setup.py and constraints.txt. UEO_PYTHON names another interpreter.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
  echo "Error: $*" >&2
  exit 2
}

find_python() {
  local candidate
  [ -n "${UEO_PYTHON:-}" ] && set -- "$UEO_PYTHON" || set -- python3 python
  for candidate in "$@"; do
    if command -v "$candidate" >/dev/null 2>&1; then
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        fail "$candidate is older than Python 3.10; name a newer one with UEO_PYTHON=/path/to/python3"
      command -v "$candidate"
      return
    fi
  done
  fail "no ${UEO_PYTHON:-Python 3.10 or newer} was found; install one, or name it with" \
    "UEO_PYTHON=/path/to/python3"
}

use_active_environment() {
  PYTHON="$(find_python)" || exit $?
  "$PYTHON" "$ROOT/scripts/check_environment.py" || exit $?
}

# .venv/.complete records what was installed. It is written last, so an interrupted set-up lacks it.
# A .venv with neither .complete nor .begun is not ours, and --clear would empty it (also through a link).
use_own_environment() {
  local wanted base
  wanted="$(cat "$ROOT/setup.py" "$ROOT/constraints.txt" | cksum) ${UEO_PYTHON:-}"
  PYTHON="$ROOT/.venv/bin/python"
  [ -f "$ROOT/.venv/.complete" ] && [ "$(cat "$ROOT/.venv/.complete")" = "$wanted" ] &&
    "$PYTHON" -c '' 2>/dev/null && return
  base="$(find_python)" || exit $?
  [ ! -L "$ROOT/.venv" ] ||
    fail "$ROOT/.venv is a link and not up to date; activate the environment it leads to, or remove the link"
  [ ! -e "$ROOT/.venv" ] || [ -e "$ROOT/.venv/.complete" ] || [ -e "$ROOT/.venv/.begun" ] ||
    fail "$ROOT/.venv was not made by this script; activate it to use it, or remove it"
  echo "Setting up $ROOT/.venv with $base (once; torch is a large download)"
  rm -f "$ROOT/.venv/.complete"
  "$base" -m venv --clear "$ROOT/.venv" ||
    fail "$base cannot make a virtual environment; install its venv module (Debian: python3-venv)"
  touch "$ROOT/.venv/.begun"
  (cd "$ROOT" && "$PYTHON" -m pip install --disable-pip-version-check --progress-bar off -q \
    -c constraints.txt -e ".[test]") ||
    fail "the installation did not finish (see above); run the same command again"
  echo "$wanted" >"$ROOT/.venv/.complete"
}

if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
  use_active_environment
else
  # two scripts that start together must not install into the same folder
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$ROOT/.venv.lock"
    flock 9
  fi
  use_own_environment
  exec 9>&-
fi
cd "$ROOT"
