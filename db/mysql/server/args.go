package server

import (
	"os"
	"strconv"
)

const loopback = "127.0.0.1"

// commonArgs are what both making the data and running on it need. --no-defaults must come
// first: the system's configuration is none of this server's business.
func commonArgs(b Binaries, dataDir string) []string {
	args := []string{
		"--no-defaults",
		"--basedir=" + b.Base,
		"--lc-messages-dir=" + b.Share,
		"--character-sets-dir=" + b.Share + "/charsets",
		"--datadir=" + dataDir,
		"--innodb-use-native-aio=OFF", // kernels allow only so many asynchronous contexts
		"--innodb-buffer-pool-size=64M",
	}
	if b.Flavor == "mariadb" || b.series56() {
		args = append(args, "--innodb-log-file-size=16M")
	} else {
		args = append(args, "--loose-innodb-redo-log-capacity=32M") // before 8.0.30 unknown
	}
	if b.Plugins != "" {
		args = append(args, "--plugin-dir="+b.Plugins)
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root") // both servers refuse to run as root unless told to
	}
	return args
}

// series56 says that the server is a MySQL without --initialize, which came with 5.7.
func (b Binaries) series56() bool {
	major, minor := b.number()
	return b.Flavor == "mysql" && major == 5 && minor < 7
}

func runArgs(s *Server) []string {
	return append(commonArgs(s.opt.Binaries, s.DataDir()),
		"--socket="+s.Socket(),
		"--port="+strconv.Itoa(s.port),
		"--bind-address="+loopback,
		"--pid-file="+s.dir+"/mysqld.pid",
		"--tmpdir="+s.TmpDir(),
		"--secure-file-priv="+s.TmpDir(),
		"--skip-name-resolve",
		"--loose-mysqlx=OFF",
		"--performance-schema=OFF",
		"--log-bin="+s.BinlogDir()+"/mysql-bin",
		"--server-id=1",
		"--loose-binlog-format=ROW", // servers that know no other format drop the option
		"--sync-binlog=0",
		"--innodb-flush-log-at-trx-commit=2",
		"--table-open-cache=400",
	)
}
