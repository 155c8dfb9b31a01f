package server

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestPortTaken(t *testing.T) {
	b, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &Server{opt: Options{Binaries: b, Dir: t.TempDir()}, port: l.Addr().(*net.TCPAddr).Port}
	if err := s.setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.remove()
	if err := s.boot(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("boot on a taken port: %v, want %v", err, errPortTaken)
	}
}

func TestParseVersion(t *testing.T) {
	for _, c := range []struct{ out, flavor, version, series string }{
		{"mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n", "mariadb", "10.11.19-MariaDB-0+deb12u1", "mariadb-10.11"},
		{"/t/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "mysql", "9.7.4-2", "mysql-9.7"},
		{"mysqld  Ver 5.6.24 for linux-glibc2.5 on x86_64 (MySQL Community Server (GPL))", "mysql", "5.6.24", "mysql-5.6"},
		{"mysqld Ver ../../x.y.z", "", "", "-0.0"},
		{"mysqld Ver 5", "", "", ""},
		{"", "", "", ""},
	} {
		flavor, version, err := parseVersion(c.out)
		if flavor != c.flavor || version != c.version || (err == nil) != (c.version != "") {
			t.Errorf("parseVersion(%q) = %q, %q, %v", c.out, flavor, version, err)
		}
		if got := (Binaries{Flavor: flavor, Version: version}).Series(); err == nil && got != c.series {
			t.Errorf("series of %q = %q, want %q", version, got, c.series)
		}
	}
}

// FuzzParseVersion: whatever a program prints, the version must be fit for a file's name.
func FuzzParseVersion(f *testing.F) {
	f.Add("mariadbd  Ver 10.11.19-MariaDB for debian-linux-gnu on x86_64")
	f.Add("mysqld  Ver 5.6.24")
	f.Add("mysqld  Ver 1.2.../../etc")
	f.Add(" Ver 1.2.\x00")
	f.Fuzz(func(t *testing.T, out string) {
		_, version, err := parseVersion(out)
		if err == nil && (version == "" || filepath.Base(version) != version || strings.Contains(version, "\x00")) {
			t.Errorf("version %q", version)
		}
	})
}

func TestTail(t *testing.T) {
	var next strings.Builder
	tl := &tail{next: &next}
	for range 1000 {
		tl.Write([]byte("0123456789"))
	}
	tl.Write([]byte("the end\n"))
	if got := tl.String(); len(got) > tailBytes || !strings.HasSuffix(got, "9the end") || !tl.contains("the end") {
		t.Errorf("tail keeps %d bytes: %q", len(got), got)
	}
	if next.Len() != 10_008 {
		t.Errorf("%d bytes were passed on", next.Len())
	}
}
