# shellcheck shell=bash
# Shared by the files in this folder; sourced by ./dev, never run by itself.
# Not here: what a subcommand does.

say() { printf '== %s\n' "$*"; }
die() {
	printf 'dev: %s\n' "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}
may_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]; }
any_installed() {
	local name
	for name in ${1//|/ }; do
		if installed "$name"; then return 0; fi
	done
	return 1
}

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
		apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@" </dev/null
}

# need PURPOSE...: installs the packages of tools/packages/PURPOSE.txt that are
# missing. A line that begins with "?" is only wished for: without root and without
# it, what needs it is skipped by name (in CI it is needed like the others). Of "a|b"
# either will do, and the first is installed.
need() {
	local purpose line missing=() wished=()
	for purpose in "$@"; do
		while read -r line; do
			case "$line" in
			'' | '#'*) continue ;;
			'?'*) line="${line#\?}"; any_installed "$line" || wished+=("${line%%|*}") ;;
			*) any_installed "$line" || missing+=("${line%%|*}") ;;
			esac
		done <"$repo/tools/packages/$purpose.txt"
	done
	[ ${#missing[@]} -eq 0 ] && [ ${#wished[@]} -eq 0 ] && return 0
	if may_be_root; then
		install_packages "${missing[@]}" "${wished[@]}"
	elif [ ${#missing[@]} -gt 0 ] || [ -n "${CI:-}" ]; then
		{
			echo "dev: these packages are missing, and installing them needs root:"
			echo
			echo "    apt-get install --no-install-recommends ${missing[*]} ${wished[*]}"
		} >&2
		exit 1
	else
		say "not installed, what needs them is skipped: ${wished[*]}"
	fi
}

install_packages() {
	local had_sshd=yes policy=''
	installed openssh-server || had_sshd=no
	say "installing $*"
	# Only programs are wanted: nothing that comes with a package is to be started.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	local log status=0
	log="$(mktemp)"
	compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || apt_get update >"$log" 2>&1 || status=$?
	if [ $status = 0 ]; then
		# Lists that are out of date name packages the mirror no longer has.
		apt_get install --no-install-recommends "$@" >"$log" 2>&1 ||
			{ apt_get update >"$log" 2>&1 && apt_get install --no-install-recommends "$@" >"$log" 2>&1; } ||
			status=$?
	fi
	[ -z "$policy" ] || as_root rm -f "$policy"
	if [ $had_sshd = no ] && installed openssh-server && [ -d /run/systemd/system ]; then
		as_root systemctl disable --quiet ssh.service 2>/dev/null || true
	fi
	if [ $status != 0 ]; then
		tail -n 30 "$log" >&2
		rm -f "$log"
		die "the packages could not be installed"
	fi
	rm -f "$log"
}

# configure FOLDER COMPILER OPTION...: meson setup, again only when options changed.
configure() {
	local folder="$1" compiler="$2"
	shift 2
	local wanted="$compiler $*"
	if [ -e "$folder/build.ninja" ] && [ "$(cat "$folder/.dev-options" 2>/dev/null)" = "$wanted" ]; then
		return 0
	fi
	local cc="$compiler"
	command -v ccache >/dev/null && cc="ccache $compiler"
	local again=()
	[ -e "$folder/build.ninja" ] && again=(--wipe)
	CC="$cc" meson setup "${again[@]}" "$folder" "$@" || return
	echo "$wanted" >"$folder/.dev-options"
}

# The program is found at FOLDER/lockstep wherever its target stands.
compile() {
	local folder="$1"
	ninja -j "$(nproc)" -C "$folder" || return
	if [ ! -e "$folder/lockstep" ] && [ -e "$folder/src/cli/lockstep" ]; then
		ln -sf src/cli/lockstep "$folder/lockstep"
	fi
}

build_gcc() {
	aarch64_sysroot
	configure build gcc "$@" && compile build
}

# Libraries for the agent of aarch64 servers. Without them the program is whole but
# for that agent, so a machine without the network still builds.
aarch64_sysroot() {
	command -v aarch64-linux-gnu-gcc >/dev/null || return 0
	tools/aarch64-sysroot >/dev/null || say "no arm64 libraries: the agent for aarch64 servers is left out"
}
