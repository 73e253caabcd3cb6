#!/bin/sh
# Write the two locks anew from pyproject.toml: exact versions with hashes, for Python 3.11 and newer on Linux and macOS.
#
#   requirements/lock.sh [--upgrade]
#
# The locks name no package index, so each machine uses its own. requirements.txt is a part of requirements-dev.txt, which
# says who asked for each package.
# Run by `make lock`.
set -eu

cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}

compile() {
    "$uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --only-binary :all: --custom-compile-command "make lock" "$@"
}

compile --group dev --output-file requirements/requirements-dev.txt "$@"
compile --group build --constraints requirements/requirements-dev.txt --no-annotate \
    --output-file requirements/requirements.txt "$@"
