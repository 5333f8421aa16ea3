# Install every deb with the bootstrap's own dpkg, then remove what must not be in an image.
# Arguments: the text of sources.list ("" for none), then for each stage a count and that many file names of /run/debs.
set -eu
umask 022

sources=$1
shift

# Nothing may start a service while an image is made.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

# The essential closure is unpacked already, so its order does not matter, but dpkg cannot know: hence --force-depends.
force=--force-depends
while [ $# -gt 0 ]; do
	count=$1
	shift
	debs=
	while [ "$count" -gt 0 ]; do
		debs="$debs /run/debs/$1"
		count=$((count - 1))
		shift
	done
	# The names hold no blanks or globs. Until the store has the layer, nothing here needs to outlive a power cut.
	# shellcheck disable=SC2086
	dpkg --force-unsafe-io $force --install $debs
	if [ -n "$force" ]; then
		force=
		mv /usr/sbin/start-stop-daemon /usr/sbin/start-stop-daemon.REAL
		printf '#!/bin/sh\necho "start-stop-daemon: nothing is started while an image is made"\n' >/usr/sbin/start-stop-daemon
		chmod 0755 /usr/sbin/start-stop-daemon
	fi
done

broken=$(dpkg --audit)
if [ -n "$broken" ]; then
	printf '%s\n' "$broken" >&2
	exit 1
fi

mv /usr/sbin/start-stop-daemon.REAL /usr/sbin/start-stop-daemon
rm -f /usr/sbin/policy-rc.d
if [ -n "$sources" ]; then
	printf '%s' "$sources" >/etc/apt/sources.list
fi

# What holds times or random numbers, or only served the installation.
rm -rf /var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log /var/log/apt/history.log /var/log/apt/term.log \
	/var/log/apt/eipp.log.xz /var/log/fontconfig.log /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/cache/ldconfig/aux-cache \
	/var/cache/debconf/*-old /var/lib/dpkg/*-old /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/catalog/database
if [ -e /etc/machine-id ]; then
	: >/etc/machine-id
fi
for left in /run/* /tmp/* /tmp/.[!.]*; do
	case $left in
	/run/lock | /run/debs) ;;
	*) rm -rf --one-file-system "$left" 2>/dev/null || true ;;
	esac
done
