#!/usr/bin/env bash
# Installs what the tests need and this machine does not have: a MariaDB server, a C
# compiler for the race detector, and other tools that read the repository's format; with the
# argument "server", the server only; with "bench", the server and, where there is apt, the
# tools that Lull is measured against. The tests start servers of their own, so the service
# that the package brings is stopped if this script installed it. Does nothing when all is there.
set -euo pipefail

missing=()
command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server)
if [ "${1:-}" = bench ]; then
	# Without apt the benchmark says what it does not measure.
	if command -v apt-get >/dev/null; then
		for tool in mydumper sysbench zstd; do
			command -v $tool >/dev/null || missing+=($tool)
		done
		command -v mariadb-backup >/dev/null || missing+=(mariadb-backup)
		command -v taskset >/dev/null || missing+=(util-linux)
	fi
elif [ "${1:-}" != server ]; then
	command -v gcc >/dev/null || missing+=(gcc libc6-dev)
	# The repository's format is read with other tools, too.
	for tool in age zstd python3 sysbench; do
		command -v $tool >/dev/null || missing+=($tool)
	done
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "${missing[*]}" = mariadb-server ] && command -v brew >/dev/null; then
	echo "setup: installing mariadb"
	exec brew install mariadb
fi
if ! command -v apt-get >/dev/null; then
	echo "setup: please install a MariaDB server and a C compiler (missing here: ${missing[*]})" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "setup: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
	as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"

case " ${missing[*]} " in
*" mariadb-server "*)
	if [ -d /run/systemd/system ]; then
		"${as_root[@]}" systemctl disable --now mariadb
	elif "${as_root[@]}" service mariadb status >/dev/null 2>&1; then
		"${as_root[@]}" service mariadb stop
	fi
	;;
esac
