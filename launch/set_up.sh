# Sourced by the scripts beside it, with the name of a requirements file:
#
#     source launch/set_up.sh requirements.txt
#
# Enters the repository's root and a virtual environment, $PDTLA_VENV or .venv, in which
# the file is installed. Needs Python 3.11 with pip. What is installed is remembered as a
# hash, so that the next call starts at once.

set -euo pipefail

fail() {
  echo "$1" >&2
  exit 1
}

find_python() {
  local python
  for python in python3.11 python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
      2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  fail "Python 3.11 is needed, and neither python3.11, python3 nor python is one."
}

# Reads a requirements file and the files that it includes.
read_requirements() {
  cat "$1"
  local included
  for included in $(sed -n 's/^-r //p' "$1"); do
    read_requirements "$included"
  done
}

check_environment() {
  "$environment/bin/python" -c \
    'import sys; sys.exit(sys.prefix == sys.base_prefix or sys.version_info[:2] != (3, 11))' \
    2>/dev/null || fail "$environment must be a virtual environment of Python 3.11. \
Remove it, or name another one in PDTLA_VENV."
}

create_environment() {
  local python
  python=$(find_python)
  echo "Creating the virtual environment $environment."
  if "$python" -c 'import ensurepip' 2>/dev/null && "$python" -m venv "$environment"; then
    return
  fi
  # Debian's Python cannot put pip into an environment, but its pip can.
  "$python" -m venv --without-pip "$environment"
  "$python" -m pip --python "$environment/bin/python" install --quiet pip
}

# An installation that was killed may have left packages that pip takes for whole.
install_requirements() {
  local again=()
  [[ -e $environment/.pdtla-installing ]] && again=(--ignore-installed)
  touch "$environment/.pdtla-installing"
  echo "Installing $1 into $environment."
  "$environment/bin/python" -m pip install --quiet "${again[@]}" --requirement "$1"
  "$environment/bin/python" -m pip check
  rm "$environment/.pdtla-installing"
}

set_up() {
  local stamp hash
  environment=$(realpath -m "${PDTLA_VENV:-$root/.venv}")
  cd "$root"
  [[ -f $1 ]] || fail "There is no requirements file $root/$1."
  mkdir -p "$environment"
  exec 9>"$environment/.pdtla-lock"
  flock 9 # another script may be installing
  stamp=$environment/.pdtla-$1
  hash=$(read_requirements "$1" | sha256sum)
  if [[ $(cat "$stamp" 2>/dev/null) != "$hash" ]]; then
    if ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
      create_environment
    fi
    check_environment
    install_requirements "$1"
    echo "$hash" >"$stamp"
  fi
  exec 9>&-
  export PATH="$environment/bin:$PATH" VIRTUAL_ENV="$environment"
  unset PYTHONHOME
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
set_up "$1"
