#!/bin/sh
# Points the Docker of this machine at the caching proxy http://@PROXY@/
#
#   curl -fsS http://@PROXY@/setup/systemd | sudo sh            sets it up; to run it again changes nothing
#   curl -fsS http://@PROXY@/setup/systemd | sudo sh -s undo    takes it all back
#
# For another client that systemd runs, name its unit on the way:
#   curl -fsS http://@PROXY@/setup/systemd | sed 's/docker\.service/containerd.service/g' | sudo sh
#
# With DESTDIR=/somewhere the files are put below that folder, for trials.
set -eu

root="${DESTDIR:-}"
unit=docker.service
conf="$root/etc/systemd/system/docker.service.d/http-proxy.conf"
changed=no

say() {
	printf 'registryproxy: %s\n' "$*"
}

die() {
	say "$*" >&2
	exit 1
}

has() {
	command -v "$1" >/dev/null 2>&1
}

# The two families differ in where trusted certificates lie, and in what takes them in.
find_trust_store() {
	if has update-ca-trust; then # RHEL, Fedora, CentOS, Rocky, Alma, Amazon Linux
		anchors="$root/etc/pki/ca-trust/source/anchors"
	elif has update-ca-certificates; then # Debian, Ubuntu
		anchors="$root/usr/local/share/ca-certificates"
	else
		die "neither update-ca-certificates nor update-ca-trust is here; install the package ca-certificates"
	fi
	cert="$anchors/registryproxy.crt"
}

update_trust_store() {
	if has update-ca-trust; then
		update-ca-trust >/dev/null
	else
		# --fresh, for else the links to a certificate that is gone stay behind, and those to another are not made
		update-ca-certificates --fresh >/dev/null
	fi
}

# The proxy is asked directly, whatever proxies the environment of root names.
fetch() {
	if has curl; then
		http_proxy='' all_proxy='' ALL_PROXY='' curl -fsS --globoff --max-time 30 -o "$2" "$1"
	elif has wget; then
		http_proxy='' wget -q -T 30 -O "$2" "$1"
	else
		die "neither curl nor wget is here"
	fi
}

wanted_conf() {
	# Only what goes to registries by https is for the proxy: it relays nothing by plain http, so that
	# HTTP_PROXY would break registries that Docker reaches that way.  The addresses of private networks,
	# of the cluster and of this machine are reached directly, as pods and services must be; names on such
	# networks still go to the proxy.  Change the lists in a drop-in that sorts after this one.
	# (At the beginning of their lines, for there are those who rewrite them with sed.)
	cat <<'EOD'
# Written by http://@PROXY@/setup/systemd; "undo" removes it.
[Service]
Environment="HTTPS_PROXY=http://@PROXY@/"
Environment="NO_PROXY=localhost,127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10,.svc,.cluster.local,.local"
EOD
}

# Puts the file $1 in the place of $2, unless they are the same.
install_file() {
	# (cmp is missing on small systems.)
	if [ -f "$2" ] && [ "$(cat "$1")" = "$(cat "$2")" ]; then
		say "unchanged: $2"
		return
	fi
	mkdir -p "${2%/*}"
	cp "$1" "$2.new"
	chmod 644 "$2.new"
	mv -f "$2.new" "$2"
	changed=yes
	say "wrote $2"
}

remove_file() {
	if [ -e "$1" ]; then
		rm -f "$1"
		changed=yes
		say "removed $1"
	fi
}

restart() {
	if [ "$changed" = no ]; then
		say "nothing has changed"
	elif has systemctl; then
		systemctl daemon-reload || die "systemctl daemon-reload failed"
		systemctl restart "$unit" || die "$unit could not be restarted: see journalctl -u $unit"
		say "restarted $unit"
	else
		say "systemctl is not here: restart $unit yourself"
	fi
}

set_up() {
	new="$(mktemp -d)"
	trap 'rm -rf "$new"' EXIT
	fetch "http://@PROXY@/ca.crt" "$new/ca.crt" || die "http://@PROXY@/ca.crt cannot be fetched"
	if [ "$(sed -n '1p' "$new/ca.crt")" != '-----BEGIN CERTIFICATE-----' ] ||
		! grep -q '^-----END CERTIFICATE-----$' "$new/ca.crt" || grep -q 'PRIVATE KEY' "$new/ca.crt"; then
		die "what http://@PROXY@/ca.crt gave is no certificate; nothing was changed"
	fi
	wanted_conf >"$new/http-proxy.conf"

	install_file "$new/ca.crt" "$cert"
	if [ "$changed" = yes ]; then
		# Left there untrusted, it would look "unchanged" the next time.
		update_trust_store || {
			rm -f "$cert"
			die "the trusted certificates could not be updated"
		}
		say "updated the trusted certificates"
	fi
	install_file "$new/http-proxy.conf" "$conf"
	restart
}

undo() {
	remove_file "$cert"
	if [ "$changed" = yes ]; then
		update_trust_store || die "the trusted certificates could not be updated"
		say "updated the trusted certificates"
	fi
	remove_file "$conf"
	rmdir "${conf%/*}" 2>/dev/null || true
	restart
}

main() {
	if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
		die "this must be run as root: pipe it to sudo sh"
	fi
	find_trust_store
	case "${1:-}" in
	'') set_up ;;
	undo) undo ;;
	*) die "the only argument is undo, not $1" ;;
	esac
}

# The last line: a script that arrives cut off does nothing.
main "$@"
