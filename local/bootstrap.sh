#!/bin/sh
# Makes .venv and installs one lock file into it. Called by make; needs nothing but Python.
set -eu
python=$1
lock=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv  |  brew install python@3.13" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed, $("$python" --version) was found: make PYTHON=python3.12 …" >&2
    echo "  apt-get install python3.11 python3.11-venv  |  brew install python@3.13" >&2
    exit 1
fi
if [ ! -x .venv/bin/python ]; then
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "Python's venv module is missing: apt-get install python$version-venv  |  brew install python@$version" >&2
        exit 1
    fi
fi
echo "Installing $lock …" >&2
.venv/bin/python -m pip install --quiet --require-hashes -r "$lock"
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
mkdir -p .make
name=$(basename "$lock" .txt)
touch ".make/$name"
