# shellcheck shell=bash
# Measures the program beside its peers; see bench/README.md.
need build demo bench
build_gcc --buildtype=release
exec /usr/bin/python3 bench/run.py --program build/lockstep "$@"
