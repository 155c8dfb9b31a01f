package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// recipe counts changes to how a data directory is made, so that older templates are not used.
const recipe = "1"

// makeData makes an initialised data directory at dest: a copy of the version's template,
// which the first caller of all processes makes. Without a cache to keep it in, dest is
// initialised itself.
func makeData(ctx context.Context, b Binaries, cache, dest string) error {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return initialise(ctx, b, dest)
		}
		cache = filepath.Join(user, "lull-servers")
		if err := os.MkdirAll(cache, 0o700); err != nil {
			return initialise(ctx, b, dest)
		}
	}
	template, err := ensureTemplate(ctx, b, cache)
	if err != nil {
		return err
	}
	if err := copyTree(ctx, dest, template); err != nil {
		return fmt.Errorf("copy template %s: %w", template, err)
	}
	return nil
}

// ensureTemplate returns the version's template, made under a lock when it is not there.
func ensureTemplate(ctx context.Context, b Binaries, cache string) (string, error) {
	key := b.Flavor + "-" + b.Version + "-" + recipe
	dir := filepath.Join(cache, key)
	if isDir(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("make template cache: %w", err)
	}
	lock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if isDir(dir) {
		return dir, nil
	}
	// The rename makes a template visible only when it is whole; what is at the other name
	// was left by a process that died.
	making := filepath.Join(cache, ".making-"+key)
	err = os.RemoveAll(making)
	if err == nil {
		err = initialise(ctx, b, making)
	}
	if err == nil {
		err = os.Rename(making, dir)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("make template %s: %w", dir, err), os.RemoveAll(making))
	}
	return dir, nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// initialise makes the system tables in a new directory, and a root account without a
// password for the unix socket and the loopback address.
func initialise(ctx context.Context, b Binaries, dataDir string) error {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	var err error
	if b.Flavor == "mysql" && !b.series56() {
		err = initialiseMySQL(ctx, b, dataDir)
	} else {
		err = bootstrap(ctx, b, dataDir)
	}
	if err != nil {
		return fmt.Errorf("initialise data directory: %w", err)
	}
	// Each server must draw a server_uuid of its own.
	if err := os.Remove(filepath.Join(dataDir, "auto.cnf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("initialise data directory: %w", err)
	}
	return nil
}

const loopbackRoot = `CREATE USER root@'127.0.0.1' IDENTIFIED BY '';
GRANT ALL PRIVILEGES ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
GRANT PROXY ON ''@'' TO root@'127.0.0.1' WITH GRANT OPTION;
`

func initialiseMySQL(ctx context.Context, b Binaries, dataDir string) error {
	// The server wants an empty data directory, so the file lies beside it.
	f, err := os.CreateTemp(filepath.Dir(dataDir), "init-*.sql")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(loopbackRoot)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	args := append(commonArgs(b, dataDir), "--initialize-insecure", "--init-file="+f.Name(), "--secure-file-priv=")
	return runToEnd(b.commandContext(ctx, b.Daemon, args...))
}

// bootstrap feeds the SQL that came with the server to the server, one statement at a time.
// Anonymous accounts go: they would hide the named ones.
func bootstrap(ctx context.Context, b Binaries, dataDir string) error {
	script := []io.Reader{strings.NewReader("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\nSET @skip_auth_anonymous=1;\n")}
	for _, name := range []string{"system_tables", "performance_tables", "system_tables_data", "sys_schema"} {
		path := first(b.Share, "mysql_"+name+".sql", "mariadb_"+name+".sql")
		if path == "" {
			if name == "system_tables" {
				return fmt.Errorf("find mysql_system_tables.sql in %s: %w", b.Share, fs.ErrNotExist)
			}
			continue
		}
		sql, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		script = append(script, bytes.NewReader(sql), strings.NewReader("\n"))
	}
	script = append(script, strings.NewReader("USE mysql;\nDELETE FROM mysql.user WHERE User='';\n"))
	args := append(commonArgs(b, dataDir), "--bootstrap", "--max-allowed-packet=8M", "--skip-log-bin")
	cmd := b.commandContext(ctx, b.Daemon, args...)
	cmd.Stdin = io.MultiReader(script...)
	return runToEnd(cmd)
}

// runToEnd runs cmd; its last words become part of the error.
func runToEnd(cmd *exec.Cmd) error {
	tail := &tail{}
	cmd.Stdout, cmd.Stderr = tail, tail
	p, err := run(cmd)
	if err != nil {
		return err
	}
	<-p.done
	if p.err != nil {
		return fmt.Errorf("%w; its log ends:\n%s", p.err, tail)
	}
	return nil
}

// copyTree copies regular files and directories; a data directory holds nothing else.
func copyTree(ctx context.Context, dest, src string) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(dest, rel), 0o700)
		}
		return copyFile(filepath.Join(dest, rel), path)
	})
}

func copyFile(dest, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
