#!/bin/sh
# Fill .venv with exactly what a lock names, and with the project itself.
#
#   requirements/setup.sh requirements/requirements-dev.txt
#
# Every file is checked against its hash, nothing is resolved and nothing is compiled: no other package can come along, and
# no compiler is needed. Run by `make setup`.
# PYTHON=/path/to/python chooses the interpreter; else the first of python3.13, 3.12, 3.11, python3 that will do.
set -eu

cd "$(dirname "$0")/.."
lock=$1
venv=.venv

refuse() {
    printf 'Casewright cannot be set up: %s\n  next: %s\n' "$1" "$2" >&2
    exit 1
}

# Some machines have names on their path that only say "no such version": so run it, do not just look for it.
will_do() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

choose_python() {
    for python in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if will_do "$python"; then
            printf '%s\n' "$python"
            return
        fi
    done
    refuse "it needs Python 3.11 or newer, and ${PYTHON:-python3} is $(${PYTHON:-python3} --version 2>&1 || true)" \
        "install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python@3.13) or say where it is: make setup PYTHON=/path/to/python3.13"
}

if [ -e "$venv" ] && ! will_do "$venv/bin/python"; then
    printf 'The Python of %s is gone or too old: making it anew\n' "$venv"
    rm -rf "$venv"
fi

if [ ! -x "$venv/bin/pip" ]; then
    python=$(choose_python)
    printf 'Making %s with %s\n' "$venv" "$("$python" --version)"
    "$python" -m venv "$venv" >/dev/null || {
        rm -rf "$venv"
        refuse "$python cannot make a virtual environment" \
            "install its venv module (Debian, Ubuntu: apt-get install python3-venv) and say make setup again"
    }
fi

# A machine's own pip settings stay in force (a company's mirror is one), but for those that would choose versions:
# the lock has done that.
export PIP_CONSTRAINT=/dev/null PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0 PIP_USER=0

printf 'Installing what %s names\n' "$lock"
"$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --only-binary :all: --requirement "$lock" ||
    refuse "pip could not install $lock, see above" "check the network (or the package mirror of this machine), then say make setup again"
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --no-index --editable . ||
    refuse "the project itself did not install, see above" "correct pyproject.toml, then say make setup again"
