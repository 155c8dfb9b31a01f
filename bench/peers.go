package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// peer is the path of another tool, "" where it is not installed. What needs it is then left
// out, and said.
func (b *bench) peer(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if !slices.Contains(b.missing, names[0]) {
		b.missing = append(b.missing, names[0])
		b.say("NOT MEASURED, because it is not installed (scripts/setup.sh bench): %s", names[0])
	}
	return ""
}

// mydumper writes the shop into an empty folder.
func (p *past) mydumper(ctx context.Context, to string, args ...string) (took, error) {
	host, port, err := net.SplitHostPort(p.shop.Addr())
	if err != nil {
		return took{}, err
	}
	if err := os.RemoveAll(to); err != nil {
		return took{}, err
	}
	all := append([]string{
		"--defaults-file=/dev/null", "--host=" + host, "--port=" + port, "--user=root", "--database=shop", "--outputdir=" + to,
	}, args...)
	return p.served(exec.CommandContext(ctx, p.peer("mydumper"), all...))
}

// myloader loads billing out of a dump of everything into another schema.
func (p *past) myloader(ctx context.Context) (took, error) {
	one := filepath.Join(p.dir, "dump-of-billing")
	if err := errors.Join(os.RemoveAll(one), os.Mkdir(one, 0o700)); err != nil {
		return took{}, err
	}
	files, err := os.ReadDir(p.dump)
	if err != nil {
		return took{}, err
	}
	for _, file := range files {
		name := file.Name()
		if name != "metadata" && !strings.HasPrefix(name, "shop.billing.") && !strings.HasPrefix(name, "shop.billing-") {
			continue
		}
		if err := os.Link(filepath.Join(p.dump, name), filepath.Join(one, name)); err != nil {
			return took{}, err
		}
	}
	host, port, err := net.SplitHostPort(p.shop.Addr())
	if err != nil {
		return took{}, err
	}
	return p.served(exec.CommandContext(ctx, p.peer("myloader"), "--defaults-file=/dev/null", "--host="+host, "--port="+port,
		"--user=root", "--database=was", "--directory="+one, "--threads=2", "--enable-binlog"))
}

// copyServer takes a copy of the server's files with mariadb-backup.
func (p *past) copyServer(ctx context.Context) (took, error) {
	return p.served(exec.CommandContext(ctx, p.peer("mariadb-backup", "mariabackup"), "--no-defaults", "--backup",
		"--user=root", "--socket="+p.shop.Socket(), "--datadir="+p.shop.DataDir(), "--target-dir="+p.files))
}

// importFiles prepares that copy and imports billing's file. Preparing changes the copy, so it
// can be done once; fetching the copy from where it is kept is not counted.
func (p *past) importFiles(ctx context.Context) (t took, err error) {
	t, err = p.child(exec.CommandContext(ctx, p.peer("mariadb-backup", "mariabackup"), "--no-defaults", "--prepare", "--export", "--target-dir="+p.files))
	if err != nil {
		return t, err
	}
	start, before := p.now(), p.shop.cpu()
	if err := execAll(ctx, p.shop.db, "CREATE TABLE was.billing LIKE billing; ALTER TABLE was.billing DISCARD TABLESPACE"); err != nil {
		return t, err
	}
	for _, ext := range []string{".ibd", ".cfg"} {
		from, to := filepath.Join(p.files, "shop", "billing"+ext), filepath.Join(p.shop.DataDir(), "was", "billing"+ext)
		if err := copyFile(to, from); err != nil {
			return t, err
		}
	}
	err = execAll(ctx, p.shop.db, "ALTER TABLE was.billing IMPORT TABLESPACE")
	t.wall += p.now().Sub(start)
	t.server += p.shop.cpu() - before
	return t, err
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// replayDump is the usual way: another server from a dump of everything, the table out of it,
// and into the shop's server.
func (p *past) replayDump(ctx context.Context) (t took, err error) {
	start := p.now()
	other, err := p.startServer(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	t.wall = p.now().Sub(start)
	step, err := p.mariadb(ctx, other, p.sql, "shop")
	if err != nil {
		return t, err
	}
	t = t.add(step)
	table := filepath.Join(p.dir, "billing.sql")
	start = p.now()
	if err := p.bench.dump(ctx, other, table, "--single-transaction", "shop", "billing"); err != nil {
		return t, err
	}
	t.wall += p.now().Sub(start)
	before := p.shop.cpu()
	if step, err = p.mariadb(ctx, p.shop, table, "was"); err != nil {
		return t, err
	}
	t = t.add(step)
	t.server = other.cpu() + p.shop.cpu() - before
	return t, nil
}

// served runs cmd and adds what the shop's server did meanwhile.
func (p *past) served(cmd *exec.Cmd) (took, error) {
	before := p.shop.cpu()
	t, err := p.child(cmd)
	t.server = p.shop.cpu() - before
	return t, err
}

// folderBytes is the size of all files below a folder.
func folderBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure folder: %w", err)
	}
	return n, nil
}

// zstdBytes is what the files of a folder would be after zstd.
func (p *past) zstdBytes(ctx context.Context, dir string, level int) (n int64, err error) {
	program := p.peer("zstd")
	if program == "" {
		return 0, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		out := filepath.Join(p.dir, "one.zst")
		cmd := exec.CommandContext(ctx, program, "-q", "-f", "-"+strconv.Itoa(level), f, "-o", out)
		if text, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("run zstd: %w: %s", err, strings.TrimSpace(string(text)))
		}
		info, err := os.Stat(out)
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}
