# shellcheck shell=bash
# All tests, in two builds: gcc, and clang with AddressSanitizer and
# UndefinedBehaviorSanitizer. The last line counts the tests of all runners.
part="${1:-all}"
[ $# -gt 0 ] && shift
case "$part" in
all | unit | san | integration) ;;
*) die "test: there is no part \"$part\" (unit, san, integration)" ;;
esac
need build test
# For the clients that check the conformance servers.
command -v npm >/dev/null || need npm
results="$repo/build/test-results"
rm -rf "$results"
mkdir -p "$results"
wanted() { [ "$part" = all ] || [ "$part" = "$1" ]; }

# step NAME COMMAND...: one that fails counts as a failed test of that name.
step() {
	local name="$1"
	shift
	say "$name"
	"$@" </dev/null || { echo "$name" >>"$results/failed-steps"; return 1; }
}
# Failures of these runners are read from their reports; a missing report is one.
unit_tests() {
	local folder="$1"
	meson test -C "$folder" --no-rebuild --print-errorlogs </dev/null || true
	cp "$folder/meson-logs/testlog.json" "$results/meson-$folder.json"
}
integration_tests() {
	local folder="$1"
	shift
	LOCKSTEP_BIN="$repo/$folder/lockstep" /usr/bin/python3 -m pytest -c tests/pytest.ini tests/integration \
		-n "$(nproc)" --junitxml "$results/pytest-$folder.xml" "$@" </dev/null || true
	[ -s "$results/pytest-$folder.xml" ]
}

# Builds in containers are tested, by unit tests too, where podman can start one; else they are
# skipped by name.
if image="$(tools/testbed/container-image build/containers)"; then
	while read -r line; do export "${line?}"; done <<<"$image"
fi

if step "build (gcc)" build_gcc; then
	if wanted unit; then step "unit tests (gcc)" unit_tests build || true; fi
	if wanted integration; then step "integration tests (gcc)" integration_tests build "$@" || true; fi
fi
if wanted unit || wanted san; then
	build_san() {
		configure build-san clang -Db_sanitize=address,undefined -Db_lundef=false && compile build-san
	}
	export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1"
	export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
	if step "build (clang, sanitizers)" build_san; then
		step "unit tests (clang, sanitizers)" unit_tests build-san || true
		if [ "$part" != unit ]; then
			step "integration tests (clang, sanitizers)" integration_tests build-san -m san "$@" || true
		fi
	fi
fi
/usr/bin/python3 tools/dev/tally.py "$results"
