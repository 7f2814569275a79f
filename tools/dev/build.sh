# shellcheck shell=bash
# Leaves the program at build/lockstep.
options=()
case "${1:-}" in
'') ;;
--release) options=(--buildtype=release) ;;
*) die "build: unknown option \"$1\" (known: --release)" ;;
esac
need build
build_gcc "${options[@]}"
[ -e build/lockstep ] && say "built build/lockstep"
