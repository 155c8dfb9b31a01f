package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull/db/mysql/server"
)

// session is a person at a terminal: a folder, a home, a database server of their own, and
// the program. What they see is made the same in every run by giving other names to what
// varies, and those names can be typed again.
type session struct {
	dir    string
	srv    *server.Server
	real   map[string]string // by the name it is shown as
	shown  map[string]string // by what it is
	counts map[string]int

	tarpit     net.Listener
	background *running
	letGo      func() error
}

func newSession(dir string) *session {
	return &session{dir: dir, real: map[string]string{}, shown: map[string]string{}, counts: map[string]int{}}
}

// rights are what docs/check.md asks for; no test runs with more unless it says so.
const rights = `CREATE USER ops@'127.0.0.1';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ops@'127.0.0.1';
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO ops@'127.0.0.1';
`

// start starts the server with further flags and makes the schema shop.
func (s *session) start(args []string) error {
	err := s.stop()
	if err != nil {
		return err
	}
	// Estimates of rows must not change behind a script's back.
	args = append([]string{"--innodb-stats-auto-recalc=OFF"}, args...)
	s.srv, err = server.Start(context.Background(), server.Options{Args: args})
	if err != nil {
		return err
	}
	s.name(s.srv.Addr(), "db.example.com")
	return s.sql("", "CREATE DATABASE shop CHARACTER SET utf8mb4;"+rights)
}

func (s *session) stop() error {
	if s.srv == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.srv.Stop(ctx)
}

// sql runs statements as root.
func (s *session) sql(schema, text string) error {
	db, err := s.open(schema)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(text)
	return err
}

func (s *session) open(schema string) (*sql.DB, error) {
	return sql.Open("mysql", s.srv.RootDSN(schema)+"?multiStatements=true")
}

func (s *session) name(real, shown string) string {
	s.shown[real], s.real[shown] = shown, real
	return shown
}

// alias is the name that a thing of a kind is shown by: the same thing has the same name.
func (s *session) alias(kind, real string, names func(n int) string) string {
	if shown, ok := s.shown[real]; ok {
		return shown
	}
	s.counts[kind]++
	return s.name(real, names(s.counts[kind]))
}

var (
	findingID = regexp.MustCompile(`\bf-[0-9a-z]{7}\b`)
	gtidText  = regexp.MustCompile(`\b0-1-\d+\b`)
	logPlace  = regexp.MustCompile(`\b(mysql-bin\.\d{6}):(\d+)`)
	moment    = regexp.MustCompile(`(\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?`)
)

// tidy gives what varies from run to run a name or a fixed value.
func (s *session) tidy(out string) string {
	out = strings.ReplaceAll(out, s.dir, "$WORK")
	if s.srv != nil {
		out = strings.ReplaceAll(out, s.srv.Addr(), "db.example.com")
		out = strings.ReplaceAll(out, s.srv.BinlogDir(), "/var/lib/mysql")
	}
	out = findingID.ReplaceAllStringFunc(out, func(id string) string {
		return s.alias("finding", id, func(n int) string { return fmt.Sprintf("f-3kx8g%02d", n) })
	})
	out = gtidText.ReplaceAllStringFunc(out, func(g string) string {
		return s.alias("gtid", g, func(n int) string { return fmt.Sprintf("0-1-%d", 4710+n) })
	})
	out = logPlace.ReplaceAllStringFunc(out, func(p string) string {
		file, _, _ := strings.Cut(p, ":")
		return s.alias("place", p, func(n int) string { return fmt.Sprintf("%s:%d", file, 88213300+n) })
	})
	out = moment.ReplaceAllStringFunc(out, func(t string) string {
		if !recent(t) {
			return t
		}
		gap := strings.IndexAny(t, " T")
		return "2026-11-20"[10-gap:] + t[gap:gap+1] + "14:02:11"
	})
	for _, v := range varying() {
		out = v.find.ReplaceAllString(out, v.put)
	}
	return out
}

// recent says that a time is of this test, not of its data.
func recent(t string) bool {
	now := time.Now()
	for _, day := range []time.Time{now, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)} {
		if strings.Contains(t, day.Format("01-02")) {
			return true
		}
	}
	return false
}

type varies struct {
	find *regexp.Regexp
	put  string
}

func varying() []varies {
	var out []varies
	for _, v := range [][2]string{
		{`(?m)^(reading|verifying|copying|restoring|writing|comparing) .* \d+ %.*\n`, ``}, // as long as it takes
		{`until \d\d:\d\d`, `until 14:32`},
		{`expired at \d\d:\d\d:\d\d`, `expired at 14:32:11`},
		{`\d\d:\d\d [▁-█]+ \d\d:\d\d( +peak) [\d,]+ at \d\d:\d\d`, `14:00 ▁▁█▁▁▁▁▁ 14:07$1 1,204 at 14:02`},
		{`applied in \S+`, `applied in 0.2s`},
		{`(checksum"?:? "?)[0-9a-f]{16}`, `${1}5f0c2d81a94be763`},
		{`("digest": ")[0-9a-f]{16}`, `${1}0f7c35d81e62ab94`},
		{`in [\d.]+ [kM]?B of`, `in 18.4 MB of`},
		{`(\d+)( files?), [\d.]+ (MB|kB|B)\b`, `$1$2, 18.4 MB`},
		{`\bthread \d+`, `thread 31`},
		{`("thread": )\d+`, `${1}31`},
		{`("start": |"end": |"position": )\d+`, `${1}88213301`},
		{`of about [\d,]+ rows`, `of about 1,207 rows`},
		{`(\d+[hms][0-9hms ]* ago|just now)`, `2h ago`},
		{`[\d.]+ [kM]?B in \d+ objects`, `1.2 MB in 42 objects`},
		{`\d+ objects, [\d.]+ [kM]?B`, `42 objects, 1.2 MB`},
		{`[\d.]+ [kM]?B (stored|kept)`, `1.2 MB $1`},
		{`(\([\d,]+ rows?, )[\d.]+ [kM]?B\)`, `${1}9.8 kB)`},
		{`(: [\d,]+ rows?, )[\d.]+ [kM]?B, (read|made)`, `${1}9.8 kB, $2`},
		{`(came back in |rows in |\()[\d.]+m?s\b`, `${1}1.2s`},
		{`[\d.]+m?s behind`, `0ms behind`},
		{`(checksum )[0-9a-f]{12}\b`, `${1}262fe8be215b`},
		{`age1[0-9a-z]{58}`, `age1nlc9vlajlml5ahespvcemvxzvjzan35p6m0dvzkynsne445wrqqqy0yd4z`},
		{`("(?:digest|live)": ")[0-9a-f]{64}`, `${1}262fe8be215b40c9d1e6a3f7...`},
		{`("(?:seconds|bytes|objects)": )[\d.]+`, `${1}1234`},
		{`(sleep\? .*\().*\)`, `${1}Fri 20 Nov 18:05)`},
		{`since \d+ \w{3} \d\d:\d\d`, `since 20 Nov 14:02`},
		{`(shop.*|of .*) at \d\d:\d\d:\d\d`, `$1 at 14:02:11`},
		{`(at\n +)\d\d:\d\d:\d\d`, `${1}14:02:11`},
		{`another server \(.*\)`, `another server (db-1:3306/1, this is db-2:3306/1)`},
		{`process \d+ holds`, `process 4242 holds`},
		{`kill \d+`, `kill 4242`},
		{`\d+ bytes into an event of \d+`, `1215 bytes into an event of 8205`},
		{`nothing is known\s+from\s+\S+\s+to\s+\S+:`, `nothing is known from 14:02 to 14:05:`},
		{`at byte \d+`, `at byte 4711`},
		{`10\.11\.\d+-MariaDB\S*`, `10.11-MariaDB`},
	} {
		out = append(out, varies{regexp.MustCompile(v[0]), v[1]})
	}
	return out
}

// untidy is a command line with the names of tidy made real.
func (s *session) untidy(line string) string {
	for _, re := range []*regexp.Regexp{findingID, gtidText, logPlace, regexp.MustCompile(`db\.example\.com`)} {
		line = re.ReplaceAllStringFunc(line, func(shown string) string {
			if real, ok := s.real[shown]; ok {
				return real
			}
			return shown
		})
	}
	if s.srv != nil {
		line = strings.ReplaceAll(line, "/var/lib/mysql", s.srv.BinlogDir())
	}
	return line
}

// env is the environment of this person's programs.
func (s *session) env() []string {
	return []string{
		"HOME=" + s.dir, "LULL_DATA=" + filepath.Join(s.dir, "data"), "TZ=UTC", "USER=ops",
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
	}
}

// shell runs one line as a shell does and gives back what is on the screen afterwards.
func (s *session) shell(ctx context.Context, line string) (shown string, code int, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", s.untidy(line))
	cmd.Dir, cmd.Env = s.dir, s.env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err = cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return "", 0, err
		}
		code = exit.ExitCode()
	}
	return s.tidy(out.String() + errs.String()), code, nil
}

// clientFile lets the mariadb client find the server as root.
func (s *session) clientFile() error {
	host, port, _ := strings.Cut(s.srv.Addr(), ":")
	if _, err := strconv.Atoi(port); err != nil {
		return err
	}
	text := fmt.Sprintf("[mariadb-client]\nuser=root\nhost=%s\nport=%s\nprotocol=tcp\n", host, port)
	return os.WriteFile(filepath.Join(s.dir, ".my.cnf"), []byte(text), 0o600)
}
