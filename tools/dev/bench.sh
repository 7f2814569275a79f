# shellcheck shell=bash
# Measures the program beside its peers; see bench/README.md.
if [ "${1:-}" = resolve ] || [ "${1:-}" = facts ]; then
	need build
	configure build-release gcc --buildtype=release
	compile build-release
	exec "build-release/bench/bench_$1" "${@:2}"
fi
if [ "${1:-}" = schema ]; then
	need build test
	configure build-release gcc --buildtype=release
	compile build-release
	exec /usr/bin/python3 bench/schema.py --program build-release/lockstep "${@:2}"
fi
if [ "${1:-}" = parity ]; then
	need build demo bench
	configure build-release gcc --buildtype=release
	compile build-release
	exec /usr/bin/python3 bench/parity.py --program build-release/lockstep "${@:2}"
fi
if [ "${1:-}" = verify ]; then
	need build
	command -v npm >/dev/null || [ -d build/bench-cache/next-14.2.4 ] || need npm
	configure build-release gcc --buildtype=release
	compile build-release
	exec /usr/bin/python3 bench/verify.py --program build-release/lockstep "${@:2}"
fi
part=run
if [ "${1:-}" = config ]; then
	part=config
	shift
fi
need build demo bench
command -v npm >/dev/null || [ -d build/bench-cache/next-14.2.4 ] || need npm
aarch64_sysroot
configure build-release gcc --buildtype=release
compile build-release
exec /usr/bin/python3 "bench/$part.py" --program build-release/lockstep "$@"
