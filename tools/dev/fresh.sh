# shellcheck shell=bash
# Proves `./dev demo` and `./dev test` in a bare Debian 12 that has git, a mirror and
# the committed tree of this repository, and nothing else: so that no forgotten
# package hides. The new root shares nothing with this machine; how to reach the
# mirror (sources, proxies, certificates, name resolution) is copied.
[ "$(id -u)" = 0 ] || die "fresh: making a Debian root needs root"
need fresh
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(demo test)

base="${TMPDIR:-$repo/build-fresh}"
mkdir -p "$base"
root="$(mktemp -d "$base/lockstep-fresh.XXXXXX")"
chmod 755 "$root"
trap 'rm -rf --one-file-system "$root"' EXIT

# shellcheck source=tools/dev/mirror.sh
. "$repo/tools/dev/mirror.sh"
mirror="$(debian_mirror)"

say "debootstrap bookworm from $mirror"
debootstrap --variant=minbase --include=git,ca-certificates bookworm "$root" "$mirror" >"$base/debootstrap.log" 2>&1 || {
	tail -n 20 "$base/debootstrap.log" >&2
	die "fresh: debootstrap failed"
}
rm -f "$base/debootstrap.log"

reach_mirror_from "$root"
keep=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
	[ -z "${!name:-}" ] || keep+=("$name=${!name}")
done

[ -z "$(git status --porcelain)" ] || say "what is not committed is not part of this check"
git clone -q --no-hardlinks "file://$repo" "$root/root/lockstep"

# A mount namespace of its own with the new root as its root (a plain chroot may
# not make user namespaces), and a process namespace, so that nothing outlives it.
inside() {
	unshare --mount --pid --fork --kill-child -- /bin/sh -eu -c '
		mount --make-rprivate /
		mount --bind "$1" "$1"
		cd "$1"
		mkdir -p .host
		pivot_root . .host
		mount -t proc proc /proc
		mkdir -p /dev/pts
		mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
		ln -sf pts/ptmx /dev/ptmx
		mkdir -p /dev/shm
		mount -t tmpfs -o mode=1777 tmpfs /dev/shm
		umount -l /.host
		rmdir /.host
		shift
		exec chroot . "$@"' sh "$root" \
		/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${keep[@]}" \
		/bin/bash -c "$1" </dev/null
}
inside 'update-ca-certificates >/dev/null 2>&1 || true'
status=0
for step in "${steps[@]}"; do
	say "in the bare root: ./dev $step"
	began=$SECONDS
	inside "cd /root/lockstep && ./dev $step" || {
		status=1
		say "./dev $step failed in the bare root"
	}
	say "./dev $step took $((SECONDS - began)) s"
done
exit $status
