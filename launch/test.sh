#!/usr/bin/env bash
# Installs what is needed into $PDTLA_VENV (or .venv), lints and tests. Arguments go to
# pytest.
#
#     bash launch/test.sh
#     bash launch/test.sh tests/layers -k quantizer

source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh" requirements-test.txt
python -m ruff check .
python -m ruff format --check .
exec python -m pytest -n 2 "$@" # two halve the waiting; -n 0 for a debugger
