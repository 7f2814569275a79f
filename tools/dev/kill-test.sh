# shellcheck shell=bash
# The longer check: N deployments, each killed at a random moment.
need build test
build_gcc
exec /usr/bin/python3 tests/fault/random_kills.py --program build/lockstep "${1:-200}"
