# shellcheck shell=bash
need format
git ls-files -z 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h' 'bench/*.c' | xargs -0 -r clang-format-14 -i
