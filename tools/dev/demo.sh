# shellcheck shell=bash
# Builds the program and tells the story of tools/demo.
need build demo
build_gcc >build-demo.log 2>&1 || {
	cat build-demo.log
	rm -f build-demo.log
	die "the program could not be built"
}
rm -f build-demo.log
exec /usr/bin/python3 tools/demo/demo.py --program build/lockstep "$@"
