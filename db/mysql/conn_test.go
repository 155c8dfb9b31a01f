package mysql

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestOpen(t *testing.T) {
	for _, srv := range servertest.All(t) {
		c := dial(t, srv, "")
		if got, want := string(c.Flavor)+" "+c.Version.String(), srv.Flavor()+" "; !strings.HasPrefix(got, want) || c.Version.Major == 0 {
			t.Errorf("it is %s, want %s", got, want)
		}
		if c.ServerID != 1 || c.MaxAllowedPacket < 1<<20 || c.Account != "'root'@'localhost'" && c.Account != "'root'@'127.0.0.1'" {
			t.Errorf("%s: server id %d, max_allowed_packet %d, account %s", srv.Flavor(), c.ServerID, c.MaxAllowedPacket, c.Account)
		}
		if (c.ServerUUID != "") != (c.Flavor == MySQL) {
			t.Errorf("%s: server uuid %q", c.Flavor, c.ServerUUID)
		}
		var zone, mode, charset string
		if err := c.DB.QueryRowContext(t.Context(), "SELECT @@time_zone, @@sql_mode, @@character_set_results").Scan(&zone, &mode, &charset); err != nil {
			t.Fatal(err)
		}
		if zone != "+00:00" || strings.Contains(mode, "NO_ZERO") || !strings.Contains(mode, "STRICT_ALL_TABLES") || charset != "binary" {
			t.Errorf("%s: session %s %s %s", c.Flavor, zone, mode, charset)
		}
	}
}

// TestSessionIsExact writes what a lax session would change and a strict one refuse.
func TestSessionIsExact(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE x (id int AUTO_INCREMENT PRIMARY KEY, d date, t datetime, s timestamp NULL, v varchar(2), n tinyint) CHARACTER SET latin1;\n"+
			"INSERT INTO x VALUES (0, '0000-00-00', '2026-02-31 00:00:00', '0000-00-00 00:00:00', X'E9', 1)")
		var id, d, dt, ts, v string
		if err := c.DB.QueryRowContext(t.Context(), "SELECT id, d, t, s, v FROM x").Scan(&id, &d, &dt, &ts, &v); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join([]string{id, d, dt, ts, v}, " "); got != "0 0000-00-00 2026-02-31 00:00:00 0000-00-00 00:00:00 \xe9" {
			t.Errorf("%s: the row reads %q", c.Flavor, got)
		}
		for _, bad := range []string{"UPDATE x SET v = 'abc'", "UPDATE x SET n = 300", "UPDATE x SET d = 'x'"} {
			if _, err := c.DB.ExecContext(t.Context(), bad); err == nil {
				t.Errorf("%s %s: %s was let through", c.Flavor, c.Version, bad)
			}
		}
		res, err := c.DB.ExecContext(t.Context(), "UPDATE x SET n = 1")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); n != 1 || err != nil {
			t.Errorf("%s: an update to the same value counts %d rows, %v", c.Flavor, n, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	for _, srv := range servertest.All(t) {
		root, schema := servertest.DB(t, srv)
		url := user(t, srv, root, schema, "weak", "IDENTIFIED BY 'pw'")
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed := l.Addr().String()
		_ = l.Close()
		for _, c := range []struct {
			url, want, hint string
			kind            lull.Kind
		}{
			{strings.Replace(url, ":pw@", ":hunter2@", 1), "log in as weak@127.0.0.1", "check the user and the password", lull.Usage},
			{strings.Replace(url, ":pw@", "@", 1), "log in as weak@127.0.0.1", "password-file", lull.Usage},
			{srv.URL("no_such_schema"), "open schema no_such_schema", "last part of the URL", lull.Usage},
			{url, "open schema " + schema, "SELECT", lull.Usage},
			{"mysql://root@" + closed + "/", "connect to root@127.0.0.1", "firewall", lull.Unreachable},
			{"mysql://root@127.0.0.1/?socket=/none/s", "connect to root@/none/s", "socket", lull.Unreachable},
			{"mysql://root@lull-test.invalid/", "connect to root@lull-test.invalid", "", lull.Unreachable},
		} {
			conn, err := openURL(t.Context(), c.url, Env{})
			if err == nil {
				_ = conn.Close()
			}
			if lull.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.Contains(lull.HintOf(err), c.hint) ||
				strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s %s: kind %d: %v; hint %s", srv.Flavor(), c.url, lull.KindOf(err), err, lull.HintOf(err))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := openURL(ctx, url, Env{}); lull.KindOf(err) != lull.Interrupted {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestOpenAsksAfterRefusal(t *testing.T) {
	srv := servertest.MariaDB(t)
	root, schema := servertest.DB(t, srv)
	url := strings.Replace(user(t, srv, root, schema, "asked", "IDENTIFIED BY 'pw'", "SELECT ON "+schema+".*"), ":pw@", "@", 1)
	asks := 0
	c, err := openURL(t.Context(), url, Env{Ask: func(string) (string, error) { asks++; return "pw", nil }})
	if err != nil || asks != 1 {
		t.Fatalf("asked %d times: %v", asks, err)
	}
	defer c.Close()
	root2, err := openURL(t.Context(), srv.URL(""), Env{Ask: func(string) (string, error) { t.Error("asked for no reason"); return "", nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer root2.Close()
}

func TestOpenBySocket(t *testing.T) {
	for _, srv := range servertest.All(t) {
		c := dialURL(t, "mysql://root@/?socket="+srv.Socket())
		if files, err := c.Binlogs(t.Context()); err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", c.Flavor, len(files), err)
		}
		if _, err := c.FirstTimestamp(t.Context(), firstFile(t, c)); err != nil {
			t.Errorf("%s: %v", c.Flavor, err)
		}
	}
}

func TestCachingSHA2WithAndWithoutTLS(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mysql-9") {
		root, schema := servertest.DB(t, srv)
		url := user(t, srv, root, schema, "sha2", "IDENTIFIED WITH caching_sha2_password BY 'pw'", "ALL ON *.*")
		for _, mode := range []string{"off", "preferred", "required"} {
			run(t, root, "FLUSH PRIVILEGES") // empties the cache, so that the whole exchange is made
			c := dialURL(t, url+"?tls="+mode)
			if _, err := c.FirstTimestamp(t.Context(), firstFile(t, c)); err != nil {
				t.Errorf("tls=%s: %v", mode, err)
			}
		}
	}
}

func firstFile(t testing.TB, c *Conn) string {
	t.Helper()
	files, err := c.Binlogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files[0].Name
}

// authority makes a CA and a certificate for dbhost in dir.
func authority(t *testing.T, dir string) {
	t.Helper()
	until := time.Now().Add(time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "dbhost"}, NotAfter: until, DNSNames: []string{"dbhost"}}
	caKey, key := newKey(t), newKey(t)
	writePEM(t, dir+"/ca.pem", "CERTIFICATE", sign(t, ca, ca, caKey, caKey))
	writePEM(t, dir+"/cert.pem", "CERTIFICATE", sign(t, leaf, ca, key, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, dir+"/key.pem", "PRIVATE KEY", der)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	writeFile(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func TestTLS(t *testing.T) {
	dir, err := os.MkdirTemp("", "lull-tls-") //nolint:usetesting // the server, another user, must get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	authority(t, dir)
	other := t.TempDir()
	authority(t, other)
	srv := servertest.MariaDB(t, "--ssl-ca="+dir+"/ca.pem", "--ssl-cert="+dir+"/cert.pem", "--ssl-key="+dir+"/key.pem", "--require-secure-transport=ON")
	plain := servertest.MariaDB(t)
	for _, c := range []struct{ url, params, want string }{
		{srv.URL(""), "", ""},
		{srv.URL(""), "tls=preferred", ""},
		{srv.URL(""), "tls=required", ""},
		{srv.URL(""), "tls=verify-ca&ca=" + dir + "/ca.pem", ""},
		{srv.URL(""), "tls=verify-full&server-name=dbhost&ca=" + dir + "/ca.pem", ""},
		{srv.URL(""), "server-name=dbhost&ca=" + dir + "/ca.pem&cert=" + dir + "/cert.pem&key=" + dir + "/key.pem", ""},
		{srv.URL(""), "tls=off", "tls=required"},
		{srv.URL(""), "ca=" + dir + "/ca.pem", "server-name=NAME"},
		{srv.URL(""), "tls=verify-full&server-name=dbhost", "ca=FILE"},
		{srv.URL(""), "tls=verify-ca&ca=" + other + "/ca.pem", "not of the authority"},
		{srv.URL(""), "tls=verify-full&server-name=dbhost&ca=" + other + "/ca.pem", "not of the authority"},
		{srv.URL(""), "ca=" + dir + "/none.pem", "PEM file"},
		{srv.URL(""), "ca=" + dir + "/key.pem", "PEM file"},
		{srv.URL(""), "tls=required&cert=" + dir + "/cert.pem&key=" + other + "/key.pem", "belong together"},
		{plain.URL(""), "tls=preferred", ""},
		{plain.URL(""), "tls=required", "tls=off"},
	} {
		conn, err := openURL(t.Context(), c.url+"?"+c.params, Env{})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.params, err)
		case c.want != "" && (lull.KindOf(err) != lull.Usage || !strings.Contains(lull.HintOf(err), c.want)):
			t.Errorf("%s: kind %d: %v; hint %s", c.params, lull.KindOf(err), err, lull.HintOf(err))
		}
		if err != nil {
			continue
		}
		var cipher [2]string
		if err := conn.DB.QueryRowContext(t.Context(), "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&cipher[0], &cipher[1]); err != nil {
			t.Fatal(err)
		}
		if encrypted := cipher[1] != ""; encrypted != (c.url == srv.URL("")) {
			t.Errorf("%s: encrypted is %v", c.params, encrypted)
		}
		if _, err := conn.FirstTimestamp(t.Context(), firstFile(t, conn)); err != nil {
			t.Errorf("%s: %v", c.params, err)
		}
		_ = conn.Close()
	}
}
