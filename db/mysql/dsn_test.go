package mysql

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
)

func TestParseDSN(t *testing.T) {
	for _, c := range []struct{ in, user, pass, addr, schema, want string }{
		{"mysql://ops@db.example.com:3307/shop", "ops", "", "db.example.com:3307", "shop", "mysql://ops@db.example.com:3307/shop"},
		{"mariadb://ops:s3cret@db/shop", "ops", "s3cret", "db:3306", "shop", "mysql://ops@db/shop"},
		{"MySQL://ops:p%40s%2Fs@db", "ops", "p@s/s", "db:3306", "", "mysql://ops@db/"},
		{"mysql://o%40ps:a@b@db/s%2Fhop", "o@ps", "a@b", "db:3306", "s/hop", "mysql://o%40ps@db/s%2Fhop"},
		{"mysql://ops:@[2001:db8::1]:3306/shop", "ops", "", "[2001:db8::1]:3306", "shop", "mysql://ops@[2001:db8::1]:3306/shop"},
		{"mysql://ops@[::1]/shop?tls=required", "ops", "", "[::1]:3306", "shop", "mysql://ops@[::1]/shop?tls=required"},
		{"mysql:///shop?socket=/run/mysqld.sock", "", "", "/run/mysqld.sock", "shop", "mysql:///shop?socket=%2Frun%2Fmysqld.sock"},
		{"mysql://h/?ca=/a+b.pem&timeout=3s", "", "", "h:3306", "", "mysql://h/?ca=%2Fa+b.pem&timeout=3s"},
	} {
		d, err := ParseDSN(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		_, addr := d.address()
		if d.User != c.user || d.Password.Reveal() != c.pass || addr != c.addr || d.Schema != c.schema || d.String() != c.want {
			t.Errorf("%s: user %q password %q address %q schema %q as %q", c.in, d.User, d.Password.Reveal(), addr, d.Schema, d)
		}
		if again, err := ParseDSN(d.String()); err != nil || again.String() != d.String() {
			t.Errorf("%s: its String does not parse to itself: %v", c.in, err)
		}
	}
}

func TestParseDSNRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "does not start with mysql://"},
		{"postgres://ops:hunter2@db/shop", "does not start with mysql://"},
		{"ops:hunter2@tcp(db)/shop", "does not start with mysql://"},
		{"mysql://ops:hun/ter2@db/shop", "must be percent-encoded"},
		{"mysql://ops:hun?ter2@db/shop", "must be percent-encoded"},
		{"mysql://ops:hun#ter2@db/shop", "must be percent-encoded"},
		{"mysql://ops:hun/ter2@db/shop?tls=off", "must be percent-encoded"},
		{"mysql://ops:100%hunter2@db/shop", "the password is not percent-encoded"},
		{"mysql://ops:hunter2@db:port/shop", "the port"},
		{"mysql://ops:hunter2@db:0/shop", "the port"},
		{"mysql://ops:hunter2@db:70000/shop", "the port"},
		{"mysql://ops@2001:db8::1/shop", "brackets"},
		{"mysql://ops@[db]/shop", "IPv6"},
		{"mysql://ops@db/shop/orders", "one name"},
		{"mysql://ops@db/shop?tsl=off", `parameter "tsl" is unknown`},
		{"mysql://ops@db/shop?tls=maybe", "tls is not one of"},
		{"mysql://ops@db/shop?timeout=hunter2", "timeout is not a duration"},
		{"mysql://ops@db/shop?password=hunter2", "password-file=FILE"},
		{"mysql://ops@db/shop?ca=", "ca is empty"},
	} {
		_, err := ParseDSN(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.in, err, c.want)
			continue
		}
		text := err.Error() + lull.HintOf(err)
		if lull.KindOf(err) != lull.Usage || lull.HintOf(err) == "" || strings.Contains(text, "\n") {
			t.Errorf("%s: kind %d, hint %q", c.in, lull.KindOf(err), lull.HintOf(err))
		}
		if strings.Contains(text, "hunter2") || strings.Contains(text, "ter2") || strings.Contains(text, "hun") {
			t.Errorf("%s: the error shows the password: %s", c.in, text)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	d, err := ParseDSN("mysql://ops:hunter2@db/shop")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", d.Password)
		fmt.Fprintf(&out, verb+"\n", d)
		fmt.Fprintf(&out, verb+"\n", &d)
		fmt.Fprintf(&out, verb+"\n", struct{ hidden DSN }{d})
	}
	if err := json.NewEncoder(&out).Encode(d); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "dsn", d, "password", d.Password)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "dsn", d, "password", d.Password)
	if s := out.String(); strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the password is in:\n%s", s)
	} else if !strings.Contains(s, masked) {
		t.Errorf("no %s in:\n%s", masked, s)
	}
}

func TestEnvParseDSN(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/dsn", "mysql://filed@db/shop\n# more\n")
	env := Env{Home: dir, Getenv: func(n string) string { return map[string]string{"DB": "mysql://named@db/shop"}[n] }}
	for in, user := range map[string]string{"env:DB": "named", "file:" + dir + "/dsn": "filed", "file:~/dsn": "filed", "mysql://plain@db": "plain"} {
		if d, err := env.ParseDSN(in); err != nil || d.User != user {
			t.Errorf("%s: user %q, %v", in, d.User, err)
		}
	}
	for _, in := range []string{"env:NONE", "file:" + dir + "/none", "env://ops:hunter2@db"} {
		if _, err := env.ParseDSN(in); lull.KindOf(err) != lull.Usage || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPasswordOrder takes the sources away one by one.
func TestPasswordOrder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/.my.cnf", "[client]\nuser=cnfuser\npassword='from#cnf'\n")
	writeFile(t, dir+"/pw", "from file\r\nsecond line")
	vars := map[string]string{"LULL_PASSWORD": "from LULL_PASSWORD", "MYSQL_PWD": "from MYSQL_PWD", "USER": "me"}
	env := Env{Home: dir, Getenv: func(n string) string { return vars[n] }}
	d := DSN{Password: NewSecret(""), PasswordFile: "~/pw"}
	want := func(user, pass string) {
		t.Helper()
		got, err := env.complete(d)
		if err != nil || got.User != user || got.Password.Reveal() != pass {
			t.Errorf("user %q password %q, want %q %q: %v", got.User, got.Password.Reveal(), user, pass, err)
		}
	}
	want("cnfuser", "")
	d.Password = Secret{}
	want("cnfuser", "from file")
	d.PasswordFile = ""
	want("cnfuser", "from LULL_PASSWORD")
	delete(vars, "LULL_PASSWORD")
	want("cnfuser", "from MYSQL_PWD")
	delete(vars, "MYSQL_PWD")
	want("cnfuser", "from#cnf")
	writeFile(t, dir+"/.my.cnf", "[client]\npassword\n")
	env.Ask = func(prompt string) (string, error) { return "asked: " + prompt, nil }
	want("me", "asked: Password for me@127.0.0.1:3306: ")
	env.Ask = func(string) (string, error) { return "", errors.New("no terminal") }
	if _, err := env.complete(d); lull.KindOf(err) != lull.Usage {
		t.Errorf("a prompt without a terminal: %v", err)
	}
	vars["USER"] = ""
	if _, err := env.complete(DSN{Password: NewSecret("")}); lull.KindOf(err) != lull.Usage {
		t.Errorf("no user anywhere: %v", err)
	}
}

func TestOptionFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/d", 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/main.cnf", strings.Join([]string{
		"# comment", "; comment", "[mysqld]", "user=mysql", "port=1", "[client]", "user = 'a b' # who", `password="x#\"y\\z"`,
		"loose_ssl_ca = /ca.pem", "host=db.example.com#there", "!include inc.cnf", "!includedir d", "[lull]", "port = 3311 ", "ssl-mode=VERIFY_CA",
	}, "\n"))
	writeFile(t, dir+"/inc.cnf", "[mysql]\ndatabase=shop\n")
	writeFile(t, dir+"/d/1.cnf", "[client]\r\nssl-cert=\"/c\"\r\n")
	writeFile(t, dir+"/d/ignored.txt", "[client]\nssl-cert=/no\n")
	d, err := Env{}.complete(DSN{DefaultsFile: dir + "/main.cnf"})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(d.User, "|", d.Password.Reveal(), "|", d.Host, "|", d.Port, "|", d.Schema, "|", d.CA, "|", d.Cert, "|", d.TLS)
	if want := `a b|x#"y\z|db.example.com|3311|shop|/ca.pem|/c|verify-ca`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOptionFileRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.cnf")
	for text, want := range map[string]string{
		"password=hunter2":               "line 1: an option stands before",
		"[client\npassword=hunter2":      "line 1: the group has no closing",
		"[client]\n!exec hunter2":        "line 2: it is no !include",
		"[client]\n!include none.cnf":    "none.cnf",
		"[client]\n!include x.cnf":       "include each other",
		"[client]\nport=hunter2":         "port is not a number",
		"[client]\nssl-mode=hunter2":     "ssl-mode is not one of",
		"[client]\nuser=x\n\x00[\nhun=2": "",
	} {
		writeFile(t, path, text)
		_, err := Env{}.complete(DSN{DefaultsFile: path})
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err == nil || lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := (Env{}).complete(DSN{DefaultsFile: path}); err == nil || !strings.Contains(lull.HintOf(err), "chmod 600") {
		t.Errorf("a file that everybody may write: %v", err)
	}
}

func FuzzParseDSN(f *testing.F) {
	for _, s := range []string{"mysql://u:hunter2@h:1/s?tls=off", "mysql://u:hunter2", "mysql://[::1%25eth0]/x", "mariadb://%zz@h/?ca=%2F", "mysql://@/?&&=#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDSN(s)
		if err != nil {
			if lull.KindOf(err) != lull.Usage || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		again, err := ParseDSN(d.String())
		if err != nil || again.String() != d.String() {
			t.Fatalf("%q became %q, then %q: %v", s, d, again, err)
		}
		d.Password, again.Password = Secret{}, Secret{}
		if d != again {
			t.Fatalf("%#v is not %#v", d, again)
		}
	})
}

func FuzzOptionFile(f *testing.F) {
	for _, s := range []string{"[client]\npassword='a\\'b'#c\nuser", "[client]\r\n a_b = \"x\\", "!include x", "[mysql\n", "[lull]\npassword=\\\\\\s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o := options{}
		err := o.parse(s, "f", func(string, string) error { return nil })
		if err != nil && lull.KindOf(err) != lull.Usage {
			t.Fatal(err)
		}
	})
}
