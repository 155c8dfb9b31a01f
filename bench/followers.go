package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/lull-ops/lull/db"
)

func (r *recording) startLull(ctx context.Context) error {
	r.serve = r.on("1", r.lullSite(ctx, "repo", "serve"))
	return r.serve.Start()
}

func (r *recording) stopLull() error {
	err := r.serve.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, r.serve.Wait())
	r.serve = nil
	return err
}

// startCopy copies the log's files as they grow: the least that a follower can do.
func (r *recording) startCopy(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.copies()), os.Mkdir(r.copies(), 0o700)); err != nil {
		return err
	}
	from, err := r.shop.spot(ctx)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.shop.Addr())
	if err != nil {
		return err
	}
	cmd, err := r.shop.Binaries().Command(ctx, "mariadb-binlog", "--no-defaults", "--read-from-remote-server", "--raw", "--stop-never",
		"--host="+host, "--port="+port, "--user=root", "--result-file="+r.copies()+"/", from.File)
	if err != nil {
		return err
	}
	r.copier = r.on("1", cmd)
	return r.copier.Start()
}

func (r *recording) copies() string { return filepath.Join(r.dir, "copies") }

func (r *recording) stopCopy() error {
	err := r.copier.Process.Kill()
	_ = r.copier.Wait() // it was killed
	r.copier = nil
	return errors.Join(err, os.RemoveAll(r.copies()))
}

func (r *recording) copyAt(context.Context) (pos db.Position, at time.Time, err error) {
	files, err := os.ReadDir(r.copies())
	if err != nil || len(files) == 0 {
		return pos, r.now(), err
	}
	info, err := files[len(files)-1].Info() // they are sorted
	if err != nil {
		return pos, at, err
	}
	return db.Position{File: info.Name(), Offset: info.Size()}, r.now(), nil
}

// lullAt is what the recorder writes down about once a second.
func (r *recording) lullAt(context.Context) (db.Position, time.Time, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(r.config("repo")), "state", "record", "shop", "status.json"))
	if err != nil {
		return db.Position{}, time.Time{}, err
	}
	var status struct {
		Position db.Position `json:"position"`
		Said     time.Time   `json:"said"`
	}
	err = json.Unmarshal(text, &status)
	return status.Position, status.Said, err
}

func (r *recording) lullCPU() float64 { return processCPU(strconv.Itoa(r.serve.Process.Pid)) }

func (r *recording) startReplica(ctx context.Context) error {
	return execAll(ctx, r.replica.db, "START SLAVE")
}

func (r *recording) stopReplica() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return execAll(ctx, r.replica.db, "STOP SLAVE")
}

// replicaAt is how far the replica has executed.
func (r *recording) replicaAt(ctx context.Context) (pos db.Position, at time.Time, err error) {
	rows, err := r.replica.db.QueryContext(ctx, "SHOW SLAVE STATUS")
	if err != nil {
		return pos, at, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return pos, at, errors.Join(err, errors.New("the replica is none"), rows.Err())
	}
	values, into := make([][]byte, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return pos, at, err
	}
	for i, name := range names {
		switch name {
		case "Relay_Master_Log_File":
			pos.File = string(values[i])
		case "Exec_Master_Log_Pos":
			pos.Offset, err = strconv.ParseInt(string(values[i]), 10, 64)
		case "Last_SQL_Error", "Last_IO_Error":
			if len(values[i]) > 0 {
				return pos, at, fmt.Errorf("the replica says: %s", values[i])
			}
		}
	}
	return pos, r.now(), err
}
