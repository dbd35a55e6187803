#!/usr/bin/env bash
# Installs what is needed into $PDTLA_VENV (or .venv) and runs the main job. Arguments go
# to launch/quickstart.py; relative paths in them start at the repository's root.
#
#     bash launch/quickstart.sh
#     PDTLA_REQUIREMENTS=requirements-gpu.txt bash launch/quickstart.sh --seeds=0,1

source "$(dirname "${BASH_SOURCE[0]}")/set_up.sh" \
  "${PDTLA_REQUIREMENTS:-requirements.txt}"
exec python -m launch.quickstart "$@"
