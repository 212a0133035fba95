#!/usr/bin/env bash
# Installs fourbit into an environment of its own, and says where its Python is. A step of action.yml.
set -euo pipefail

place=${RUNNER_TEMP:-${TMPDIR:-/tmp}}/fourbit-environment
what=fourbit${INPUT_VERSION:+==$INPUT_VERSION}
if [ -n "${INPUT_WHEEL:-}" ]; then
    if [ ! -e "$INPUT_WHEEL" ]; then
        echo "::error::there is no wheel $INPUT_WHEEL"
        exit 1
    fi
    # With its folder, so that no wheel is taken for an option or the name of a package.
    what=$(cd "$(dirname -- "$INPUT_WHEEL")" && pwd)/$(basename -- "$INPUT_WHEEL")
fi

"${INPUT_PYTHON:-python3}" -m venv --clear "$place"
python=$place/bin/python
[ -x "$python" ] || python=$place/Scripts/python.exe
"$python" -m pip install --quiet --disable-pip-version-check -- "$what"
"$python" -m fourbit --version
echo "python=$python" >>"$GITHUB_OUTPUT"
