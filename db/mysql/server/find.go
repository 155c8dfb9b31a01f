package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
)

// Binaries are the programs and files of one server version. Find fills it.
type Binaries struct {
	Flavor  string   // "mariadb" or "mysql"
	Version string   // as the server prints it: "10.11.19-MariaDB-0+deb12u1"
	Daemon  string   // path of mariadbd or mysqld
	Loader  string   // dynamic loader to run the tree's programs with; "" is the system's
	LibDirs []string // where the tree's libraries are; none for the system's own server
	Base    string   // what the server calls basedir: "/usr"
	Share   string   // messages, character sets and the SQL that makes the system tables
	Plugins string   // "" when the server's own default is to be used
}

// Find finds a server. dir "" means the system's: PATH, then the directories where servers
// are installed outside it, MariaDB before MySQL. Otherwise dir is the root of an unpacked
// tree of packages, with dir/usr/sbin/mysqld or mariadbd; when the tree has a dynamic loader
// its programs run through that one, because its C library may be newer than the system's.
func Find(dir string) (Binaries, error) {
	daemon, err := findDaemon(dir)
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{Daemon: daemon, Base: filepath.Dir(filepath.Dir(daemon))}
	if dir != "" {
		b.Loader = first(dir, "usr/lib/*/ld-linux*.so.*", "usr/lib/ld-linux*.so.*", "lib/*/ld-linux*.so.*")
		b.LibDirs = all(dir, "usr/lib/*-linux-gnu*", "usr/lib/mysql", "usr/lib")
	}
	b.Share = filepath.Dir(filepath.Dir(first(b.Base,
		"share/mysql/english/errmsg.sys", "share/mariadb/english/errmsg.sys", "share/*/english/errmsg.sys", "share/english/errmsg.sys")))
	if b.Share == "." {
		return Binaries{}, fmt.Errorf("find the files of %s: no share/mysql/english/errmsg.sys in %s", daemon, b.Base)
	}
	b.Plugins = first(b.Base, "lib/mysql/plugin", "lib64/mysql/plugin", "lib/*/mysql/plugin", "lib/mariadb/plugin", "lib/plugin")
	return b, b.readVersion()
}

func findDaemon(dir string) (string, error) {
	names := []string{"mariadbd", "mysqld"}
	dirs := []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"}
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("find server in %s: %w", dir, err)
		}
		dirs = []string{filepath.Join(abs, "usr/sbin"), filepath.Join(abs, "usr/bin"), filepath.Join(abs, "bin")}
	}
	for _, name := range names {
		if p, err := exec.LookPath(name); dir == "" && err == nil {
			return filepath.EvalSymlinks(p)
		}
		for _, d := range dirs {
			if p, err := exec.LookPath(filepath.Join(d, name)); err == nil {
				return filepath.EvalSymlinks(p)
			}
		}
	}
	if dir == "" {
		return "", lull.Errorf(lull.Failed, "install the package mariadb-server", "find mariadbd or mysqld in PATH and %s: not there", strings.Join(dirs, ", "))
	}
	return "", lull.Errorf(lull.Failed, "name the root of an unpacked tree, made by scripts/test-servers.sh", "find mariadbd or mysqld in %s: not there", strings.Join(dirs, ", "))
}

// first is the first path below dir that a pattern matches, "" when there is none.
func first(dir string, patterns ...string) string {
	if m := all(dir, patterns...); len(m) > 0 {
		return m[0]
	}
	return ""
}

func all(dir string, patterns ...string) (paths []string) {
	for _, p := range patterns {
		m, err := filepath.Glob(filepath.Join(dir, p))
		if err == nil {
			paths = append(paths, m...)
		}
	}
	return paths
}

func (b *Binaries) readVersion() error {
	out, err := b.command(b.Daemon, "--no-defaults", "--version").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return fmt.Errorf("ask %s for its version: %w", b.Daemon, err)
	}
	b.Flavor, b.Version, err = parseVersion(string(out))
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", b.Daemon, err)
	}
	return nil
}

// parseVersion reads "mysqld  Ver 5.6.24 for linux-glibc2.5 on x86_64 (...)".
func parseVersion(out string) (flavor, version string, err error) {
	_, rest, ok := strings.Cut(out, " Ver ")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 || !isVersion(words[0]) {
		return "", "", fmt.Errorf("no version in %q", out)
	}
	if strings.Contains(rest, "MariaDB") {
		return "mariadb", words[0], nil
	}
	return "mysql", words[0], nil
}

func isVersion(s string) bool {
	major, minor := Binaries{Version: s}.number()
	return major > 0 && minor >= 0 && !strings.ContainsAny(s, "/\\\x00")
}

// number is the version's first two numbers, -1 where there is none.
func (b Binaries) number() (major, minor int) {
	parts := strings.SplitN(b.Version, ".", 3)
	if len(parts) < 3 {
		return -1, -1
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return -1, -1
	}
	minor, err = strconv.Atoi(parts[1])
	if err != nil {
		return -1, -1
	}
	return major, minor
}

// Series is flavor and release line, "mariadb-10.11" or "mysql-9.7".
func (b Binaries) Series() string {
	major, minor := b.number()
	return fmt.Sprintf("%s-%d.%d", b.Flavor, major, minor)
}

// Command is a run of a program beside the server, such as "mariadb-binlog", with the tree's
// own libraries. ctx kills it.
func (b Binaries) Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	for _, d := range []string{filepath.Dir(b.Daemon), filepath.Join(b.Base, "bin")} {
		p := filepath.Join(d, name)
		if _, err := os.Stat(p); err == nil {
			return b.commandContext(ctx, p, args...), nil
		}
	}
	return nil, fmt.Errorf("find %s beside %s: %w", name, b.Daemon, os.ErrNotExist)
}

func (b Binaries) command(path string, args ...string) *exec.Cmd {
	return b.commandContext(context.Background(), path, args...)
}

func (b Binaries) commandContext(ctx context.Context, path string, args ...string) *exec.Cmd {
	libs := strings.Join(b.LibDirs, string(os.PathListSeparator))
	if b.Loader != "" {
		return exec.CommandContext(ctx, b.Loader, append([]string{"--library-path", libs, path}, args...)...)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	if libs != "" {
		cmd.Env = append(cmd.Environ(), "LD_LIBRARY_PATH="+libs)
	}
	return cmd
}
