# shellcheck shell=bash
# libFuzzer over the harnesses of tests/fuzz. New inputs are kept below
# build-fuzz/corpus, crashes below build-fuzz/crashes.
name="${1:-}" seconds="${2:-60}"
need build test
configure build-fuzz clang -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false
ninja -C build-fuzz
ran=0 failed=0
for program in build-fuzz/tests/fuzz_*; do
	[ -f "$program" ] && [ -x "$program" ] || continue
	this="$(basename "$program")"
	this="${this#fuzz_}"
	[ -z "$name" ] || [ "$name" = "$this" ] || continue
	say "$this for $seconds s"
	mkdir -p "build-fuzz/corpus/$this" "build-fuzz/crashes/$this"
	"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="build-fuzz/crashes/$this/" "build-fuzz/corpus/$this" tests/fuzz/*/corpus/"$this" ||
		failed=$((failed + 1))
	ran=$((ran + 1))
done
[ $ran -gt 0 ] || die "fuzz: there is no harness \"$name\""
say "$ran harnesses, $failed with findings"
[ $failed -eq 0 ]
