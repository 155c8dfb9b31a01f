// Package e2e plays whole accidents on real servers with the built program: something
// happens, people go on working, lull takes it back, and every row is compared. It tests no
// package by itself.
package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// programEnv names the built program to the tests.
const programEnv = "LULL_E2E_PROGRAM"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lull-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(filepath.Join(dir, "lull"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, errors.Join(err, os.RemoveAll(dir)))
		os.Exit(1)
	}
	servertest.Main(m)
}

func build(path string) error {
	out, err := exec.Command("go", "build", "-o", path, "../cmd/lull").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build lull: %w: %s", err, out)
	}
	return os.Setenv(programEnv, path)
}

// password is the one of all users that tests make.
const password = "pa'ss \"word"

// lab is one database on one server, and lull beside it.
type lab struct {
	*testing.T
	srv    *server.Server
	root   *sql.Conn // one session, in UTC and without a strict mode
	schema string
	user   string
	data   string   // lull's folder
	env    []string // more of lull's environment
	more   []*sql.DB
}

// newLab makes a database and a user that has no more than the rights lull needs.
func newLab(t *testing.T, srv *server.Server) *lab {
	t.Helper()
	pool, name := servertest.DB(t, srv)
	root, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	l := &lab{T: t, srv: srv, root: root, schema: name, user: "ops_" + name, data: t.TempDir()}
	l.exec("SET NAMES utf8mb4", "SET time_zone='+00:00'", "SET sql_mode=''")
	quoted := "'" + l.user + "'@'%'"
	l.exec("CREATE USER "+quoted+" IDENTIFIED BY 'pa''ss \"word'",
		"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO "+quoted,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON "+name+".* TO "+quoted)
	t.Cleanup(func() {
		for _, pool := range l.more {
			pool.Close()
		}
		if _, err := pool.ExecContext(context.Background(), "DROP USER "+quoted); err != nil {
			t.Errorf("drop user: %v", err)
		}
	})
	return l
}

// on makes the lab of a subtest in the same database.
func (l *lab) on(t *testing.T) *lab {
	sub := *l
	sub.T, sub.data = t, t.TempDir()
	return &sub
}

// onAll runs a test on every server there is, each with these extra flags.
func onAll(t *testing.T, test func(l *lab), args ...string) {
	for _, srv := range servertest.All(t, args...) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) { test(newLab(t, srv)) })
	}
}

func (l *lab) isMariaDB() bool { return l.srv.Flavor() == "mariadb" }

func (l *lab) series(want ...string) bool {
	for _, w := range want {
		if servertest.Matches(l.srv.Binaries().Series(), w) {
			return true
		}
	}
	return false
}

func (l *lab) grant(what string) {
	l.Helper()
	l.exec("GRANT " + what + " ON " + l.schema + ".* TO '" + l.user + "'@'%'")
}

func (l *lab) exec(stmts ...string) {
	l.Helper()
	for _, s := range stmts {
		if _, err := l.root.ExecContext(context.Background(), s); err != nil {
			l.Fatalf("%.500s: %v", s, err)
		}
	}
}

// script runs statements that are separated by a semicolon and a blank or the end.
func (l *lab) script(stmts string) {
	l.Helper()
	for s := range strings.SplitSeq(stmts, "; ") {
		if s = strings.TrimSuffix(strings.TrimSpace(s), ";"); s != "" {
			l.exec(s)
		}
	}
}

// text is a query's result: a blank between columns, a comma between rows.
func (l *lab) text(query string) string {
	l.Helper()
	rows, err := l.root.QueryContext(context.Background(), query)
	if err != nil {
		l.Fatalf("%.500s: %v", query, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		l.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		vals, dest := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		if err := rows.Scan(dest...); err != nil {
			l.Fatal(err)
		}
		var words []string
		for _, v := range vals {
			if !v.Valid {
				v.String = "NULL"
			}
			words = append(words, v.String)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	if err := rows.Err(); err != nil {
		l.Fatal(err)
	}
	return strings.Join(lines, ", ")
}

// rows is a table's visible content, in the order of its first columns.
func (l *lab) rows(table string) string {
	l.Helper()
	order := "1,2"
	return l.text("SELECT * FROM " + table + " ORDER BY " + order)
}

// sum is the server's checksum of a table.
func (l *lab) sum(table string) string {
	l.Helper()
	_, sum, _ := strings.Cut(l.text("CHECKSUM TABLE "+table+" EXTENDED"), " ")
	return sum
}

// here is the server's place in its log, as FILE:POS.
func (l *lab) here() string {
	l.Helper()
	stmt := "SHOW MASTER STATUS"
	if l.series("mysql-8", "mysql-9") {
		stmt = "SHOW BINARY LOG STATUS"
	}
	f := strings.Fields(l.text(stmt))
	return f[0] + ":" + f[1]
}

// span runs statements and returns FILE:POS..FILE:POS around them.
func (l *lab) span(stmts string) string {
	l.Helper()
	from := l.here()
	l.script(stmts)
	return from + ".." + l.here()
}

// result is how a run of lull ended.
type result struct {
	code        int
	out, errOut string
}

func (r result) all() string { return r.out + r.errOut }

// command is lull with these arguments, not started yet.
func (l *lab) command(args ...string) *exec.Cmd {
	l.Helper()
	cmd := exec.CommandContext(context.Background(), os.Getenv(programEnv), append([]string{"--data", l.data, "--no-input"}, args...)...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.data, "TMPDIR=" + os.TempDir(), "LULL_PASSWORD=" + password,
		"LULL_DB=mysql://" + l.user + "@" + l.srv.Addr() + "/" + l.schema,
	}, l.env...)
	return cmd
}

// try runs lull and returns how it ended.
func (l *lab) try(args ...string) result {
	l.Helper()
	cmd := l.command(args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if err != nil && !ok {
		l.Fatal(err)
	}
	r := result{out: out.String(), errOut: errOut.String()}
	if exit != nil {
		r.code = exit.ExitCode()
	}
	return r
}

// lull runs lull, which must end with the code.
func (l *lab) lull(code int, args ...string) result {
	l.Helper()
	r := l.try(args...)
	if r.code != code {
		l.Fatalf("lull %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.errOut)
	}
	return r
}

// says checks that a text holds all parts, which are separated by "|".
func (l *lab) says(text, parts string) {
	l.Helper()
	text = strings.Join(strings.Fields(text), " ")
	for part := range strings.SplitSeq(parts, "|") {
		if !strings.Contains(text, part) {
			l.Errorf("%q is not said in:\n%s", part, text)
		}
	}
}

// is compares a table's rows.
func (l *lab) is(table, want string) {
	l.Helper()
	if got := l.rows(table); got != want {
		l.Errorf("%s holds\n %s\nwant\n %s", table, got, want)
	}
}

// plan makes a plan and returns its id.
func (l *lab) plan(code int, args ...string) string {
	l.Helper()
	r := l.lull(code, append([]string{"undo", "--json"}, args...)...)
	var doc struct{ Plan string }
	if err := json.NewDecoder(strings.NewReader(r.out)).Decode(&doc); err != nil || doc.Plan == "" {
		l.Fatalf("read plan: %v\n%s", err, r.all())
	}
	return doc.Plan
}

// reconnect begins a new session after the server was restarted.
func (l *lab) reconnect() {
	l.Helper()
	pool, err := sql.Open("mysql", l.srv.RootDSN(l.schema))
	if err != nil {
		l.Fatal(err)
	}
	l.more = append(l.more, pool)
	if l.root, err = pool.Conn(l.Context()); err != nil {
		l.Fatal(err)
	}
	l.exec("SET NAMES utf8mb4", "SET time_zone='+00:00'", "SET sql_mode=''")
}
