package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/lull-ops/lull"
)

// enoughRetention is how long logs should stay: an accident on Friday evening is often
// found on Monday.
const enoughRetention = 72 * time.Hour

// logs reads the list of logs and the beginning of the oldest, really, because a grant that
// is shown may still not be enough.
func (k *checker) logs(ctx context.Context) error {
	if k.vars["log_bin"] != "ON" {
		return nil
	}
	list, err := k.Binlogs(ctx)
	if err != nil {
		return k.tried("list binlogs", err)
	}
	if len(list) == 0 {
		k.add("list binlogs", No, "", "the server lists no binlog")
		return nil
	}
	var size int64
	for _, f := range list {
		size += f.Size
	}
	k.add("list binlogs", OK, "", "%d files, %d MB", len(list), size>>20)
	if err := k.readable(ctx, list[len(list)-1]); err != nil {
		return k.tried("read binlogs", err)
	}
	first, err := k.FirstTimestamp(ctx, list[0].Name)
	if err != nil {
		return k.tried("read binlogs", err)
	}
	var now int64
	if err := k.DB.QueryRowContext(ctx, "SELECT UNIX_TIMESTAMP()").Scan(&now); err != nil {
		return k.failed(ctx, "read the server's clock", err)
	}
	k.add("read binlogs", OK, "", "they reach back to %s, %s ago", first.Format("2006-01-02 15:04:05 UTC"), time.Unix(now, 0).Sub(first))
	return k.filters(ctx)
}

// tried makes a finding of an error that the user can mend, and passes on any other.
func (k *checker) tried(name string, err error) error {
	switch lull.KindOf(err) {
	case lull.Usage, lull.Failed:
		if e, ok := errors.AsType[*lull.Error](err); ok {
			k.add(name, No, e.Hint, "%s", e.Error())
			return nil
		}
	}
	return err
}

// readable streams the end of the newest log.
func (k *checker) readable(ctx context.Context, f LogFile) (err error) {
	d, err := k.Dump(ctx, f.Name, magicSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	_, _, r, err := d.Next()
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, r, headerSize)
	return err
}

// filters tells of schemas that the server leaves out of its logs.
func (k *checker) filters(ctx context.Context) error {
	s, err := k.status(ctx)
	if err != nil {
		return k.tried("binlog filters", err)
	}
	if s.doDB != "" || s.ignoreDB != "" {
		k.add("binlog filters", Warn, k.restartFix("no binlog_do_db and binlog_ignore_db"),
			"not all schemas are logged: binlog_do_db=%s binlog_ignore_db=%s", s.doDB, s.ignoreDB)
	}
	return nil
}

func (k *checker) retention(ctx context.Context) error {
	if k.vars["log_bin"] != "ON" {
		return nil
	}
	if k.Cloud != "" {
		return k.cloudRetention(ctx)
	}
	name, value, unit := "binlog_expire_logs_seconds", "259200", time.Second
	if _, ok := k.vars[name]; !ok {
		name, value, unit = "expire_logs_days", "3", 24*time.Hour
	}
	n, _ := strconv.ParseFloat(k.vars[name], 64)
	if n == 0 && k.Flavor == MySQL && k.vars["expire_logs_days"] != "" {
		name, value, unit = "expire_logs_days", "3", 24*time.Hour
		n, _ = strconv.ParseFloat(k.vars[name], 64)
	}
	kept := time.Duration(n * float64(unit))
	switch {
	case kept == 0 || k.vars["binlog_expire_logs_auto_purge"] == "OFF":
		k.add("retention", OK, "", "logs are kept until somebody purges them")
	case kept < enoughRetention:
		k.add("retention", Warn, k.fix(name, value), "logs are kept for %s: an accident found later cannot be undone", kept)
	default:
		k.add("retention", OK, "", "logs are kept for %s", kept)
	}
	if size := k.vars["max_binlog_total_size"]; size != "" && size != "0" {
		k.add("max_binlog_total_size", Warn, k.fix("max_binlog_total_size", "0"), "logs are purged earlier when they hold more than %s bytes", size)
	}
	return nil
}

// cloudRetention reads Amazon's own setting: unless it is set, logs are purged as soon as
// they are in the backup.
func (k *checker) cloudRetention(ctx context.Context) error {
	const fix = "CALL mysql.rds_set_configuration('binlog retention hours', 72)"
	var value sql.NullString
	err := k.DB.QueryRowContext(ctx, "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'").Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err != nil {
		if serverErrorNumber(err) == 0 {
			return k.failed(ctx, "read binlog retention hours", err)
		}
		k.add("retention", Warn, "CALL mysql.rds_show_configuration", "how long logs are kept cannot be read: %v", err)
		return nil
	}
	k.cloudHours(value, fix)
	return nil
}

func (k *checker) cloudHours(value sql.NullString, fix string) {
	hours, err := strconv.Atoi(value.String)
	switch {
	case !value.Valid || err != nil || hours == 0:
		k.add("retention", No, fix, "binlog retention hours is NULL: logs are purged at once")
	case time.Duration(hours)*time.Hour < enoughRetention:
		k.add("retention", Warn, fix, "logs are kept for %s: an accident found later cannot be undone", fmt.Sprintf("%dh", hours))
	default:
		k.add("retention", OK, "", "logs are kept for %dh", hours)
	}
}
