#!/usr/bin/env bash
# Mutation test of models, training, degradation and protocols; `tools/mutate.sh --help` lists the options.
# Works in mutants/copy, made of the last commit, and in an environment of its own (or that of MUTATE_PYTHON).
set -euo pipefail
out=$(realpath -m mutants)
cd "$(dirname "$0")/.."
rm -rf "$out/copy"
mkdir -p "$out/copy"
git archive HEAD | tar -x -C "$out/copy"
python=${MUTATE_PYTHON:-$out/environment/bin/python}
if [ ! -e "$python" ]; then
    python3 -m venv "$out/environment"
    "$python" -m pip install -q ".[test]" cosmic-ray==8.7.0
    "$python" -m pip uninstall -q -y restorekit # its code is that of the copy
fi
cd "$out/copy"
"$python" -m compileall -q --invalidation-mode checked-hash restorekit # a mutant may be as old and as long
export PYTHONPATH=$PWD OMP_NUM_THREADS=1
exec nice -n 5 "$python" tools/mutate.py --out "$out" "$@"
