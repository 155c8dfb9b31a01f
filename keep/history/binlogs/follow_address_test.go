package binlogs_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// address is one address that leads to one server or another.
type address struct {
	net.Listener
	to atomic.Pointer[string]
}

func newAddress(t *testing.T) *address {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	a := &address{Listener: ln}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go a.pass(in)
		}
	}()
	return a
}

func (a *address) pass(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", *a.to.Load())
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}

// TestFollowBehindOneAddress goes on when an address leads to another server, which has the same
// transactions at other places of its log.
func TestFollowBehindOneAddress(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		if !strings.HasPrefix(b.Series(), "mysql-9") {
			continue
		}
		args := []string{"--gtid-mode=ON", "--enforce-gtid-consistency=ON"}
		sa, sb := own(t, b, args...), own(t, b, append(args, "--server-id=77")...)
		ca, cb := dial(t, sa), dial(t, sb)
		at := newAddress(t)
		target := sa.Addr()
		at.to.Store(&target)
		dsn, err := mysql.ParseDSN(strings.Replace(sa.URL(""), sa.Addr(), at.Addr().String(), 1))
		if err != nil {
			t.Fatal(err)
		}
		c := must[*mysql.Conn](t)(mysql.Open(t.Context(), dsn, mysql.Env{}))
		t.Cleanup(func() { c.Close() })
		script := []string{"CREATE DATABASE d", "CREATE TABLE d.a (id int PRIMARY KEY)"}
		exec(t, ca.DB, "RESET BINARY LOGS AND GTIDS;\n"+strings.Join(script, ";\n")+";\nFLUSH BINARY LOGS;\nFLUSH BINARY LOGS")
		conn, err := cb.DB.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "RESET BINARY LOGS AND GTIDS"); err != nil {
			t.Fatal(err)
		}
		for i, s := range append(script, "INSERT INTO d.a VALUES (1)") {
			for _, stmt := range []string{fmt.Sprintf("SET gtid_next = '%s:%d'", ca.ServerUUID, i+1), s} {
				if _, err := conn.ExecContext(t.Context(), stmt); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := conn.ExecContext(t.Context(), "SET gtid_next = AUTOMATIC"); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		server := must[string](t)(c.Identity(t.Context()))
		from := must[db.Position](t)(c.Position(t.Context()))
		exec(t, cb.DB, "FLUSH BINARY LOGS;\nFLUSH BINARY LOGS;\nFLUSH BINARY LOGS")
		other := sb.Addr()
		at.to.Store(&other)
		sa.Kill()
		var f *binlogs.Feed
		for range 10 { // connections of the pool that are dead are found one by one
			if f, err = binlogs.Follow(t.Context(), c, binlogs.FollowOptions{From: from, Server: server}); lull.KindOf(err) != lull.Unreachable {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Server() != cb.ServerUUID {
			t.Errorf("the feed is of %s, want %s", f.Server(), cb.ServerUUID)
		}
		m := newMirror(t)
		m.tables[db.Name{Schema: "d", Table: "a"}] = &mirrored{rows: map[string]db.Row{}}
		exec(t, cb.DB, "INSERT INTO d.a VALUES (2)")
		m.until(f, must[db.Position](t)(cb.Position(t.Context())))
		if n := m.same(cb, "d"); n != 1 {
			t.Errorf("lost %q", m.lost)
		}
	}
}

// TestFollowFirstStep wants no step from a server that refuses the stream.
func TestFollowFirstStep(t *testing.T) {
	each(t, func(l *lab) {
		name := l.schema + "_s"
		l.exec("CREATE USER '" + name + "'@'%' IDENTIFIED BY 'pw';\nGRANT SELECT, REPLICATION CLIENT ON *.* TO '" + name + "'@'%'")
		defer l.exec("DROP USER '" + name + "'@'%'")
		dsn, err := mysql.ParseDSN("mysql://" + name + ":pw@" + l.srv.Addr() + "/?tls=preferred")
		if err != nil {
			l.Fatal(err)
		}
		c, err := mysql.Open(l.Context(), dsn, mysql.Env{})
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		f := l.follow(c, binlogs.FollowOptions{})
		if st, err := f.Next(l.Context()); lull.KindOf(err) != lull.Usage {
			l.Errorf("%+v, %v", st, err)
		}
		if st, err := l.follow(l.open(), binlogs.FollowOptions{}).Next(l.Context()); err != nil || st.Kind != history.IdleStep {
			l.Errorf("%+v, %v", st, err)
		}
	})
}
