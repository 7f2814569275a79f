# shellcheck shell=bash
rm -rf build build-san build-fuzz build-fresh
