# shellcheck shell=bash
# How this machine reaches Debian's mirror, for roots that are made from it; sourced.
# Not here: what is installed in such a root.

# debian_mirror: the first one in apt's sources.
debian_mirror() {
	local mirror
	mirror="$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
		sed -n -E 's/^(deb[[:space:]]+(\[[^]]*\][[:space:]]+)?|URIs:[[:space:]]*)((https?|file):[^[:space:]]*\/debian\/?)([[:space:]].*)?$/\3/p' |
		head -n 1)"
	echo "${mirror:-http://deb.debian.org/debian}"
}

# reach_mirror_from ROOT: sources, proxies, certificates and name resolution are copied;
# packages and other settings are not.
reach_mirror_from() {
	local root="$1" file certificate
	rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		if [ -f "$file" ] && grep -q -i debian "$file" && ! grep -q -v -i -E '^(#.*|)$|debian|^(Types|Suites|Components|Architectures):' "$file"; then
			cp "$file" "$root${file}"
		fi
	done
	for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
		if [ -f "$file" ] && grep -q -E '^[[:space:]]*Acquire::([Hh][Tt][Tt][Pp]|[Cc]heck)' "$file"; then
			grep -E '^[[:space:]]*Acquire::([Hh][Tt][Tt][Pp]|[Cc]heck)' "$file" >"$root$file"
		fi
	done
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	for certificate in /usr/local/share/ca-certificates/*.crt; do
		[ -f "$certificate" ] && cp "$certificate" "$root/usr/local/share/ca-certificates/"
	done
	return 0
}
