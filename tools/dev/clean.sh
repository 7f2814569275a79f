# shellcheck shell=bash
rm -rf build build-release build-san build-fuzz build-fresh
