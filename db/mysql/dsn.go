package mysql

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull"
)

// TLSMode says how a connection is encrypted and what is verified.
type TLSMode string

// The modes. Without one, it is TLSOff on a socket, TLSVerifyFull when a CA file is given,
// and TLSPreferred otherwise.
const (
	TLSOff        TLSMode = "off"         // plain text
	TLSPreferred  TLSMode = "preferred"   // encrypted where the server can, nothing verified
	TLSRequired   TLSMode = "required"    // encrypted or refused, nothing verified
	TLSVerifyCA   TLSMode = "verify-ca"   // and the certificate is signed by the CA
	TLSVerifyFull TLSMode = "verify-full" // and it names the host
)

// DSN says where a server is and who asks. Empty fields are filled from the option files
// when it is opened.
type DSN struct {
	User         string
	Password     Secret
	Host         string // name or address, IPv6 without brackets; "" means 127.0.0.1
	Port         int    // 0 means 3306
	Socket       string // path of a Unix socket; used instead of Host
	Schema       string // default schema, may be ""
	TLS          TLSMode
	CA           string // PEM file of the authorities to trust
	Cert, Key    string // PEM files of the client's own certificate
	ServerName   string // name that the certificate must carry, when it is not Host
	PasswordFile string // file whose first line is the password
	DefaultsFile string // option file read instead of the usual ones
	Timeout      time.Duration
}

const dsnExample = "example: mysql://ops@db.example.com:3306/shop?tls=verify-full&ca=/etc/lull/ca.pem"

func badDSN(format string, args ...any) error {
	return lull.Errorf(lull.Usage, dsnExample, "read DSN: "+format, args...)
}

// ParseDSN reads a URL such as "mysql://user@host:3306/schema?tls=required"; "mariadb://"
// is the same. Parameters: socket, tls, ca, cert, key, server-name, password-file,
// defaults-file, timeout. Its error is a lull.Error of kind Usage that never holds a part
// of the text that may be a password.
func ParseDSN(s string) (DSN, error) {
	rest, ok := cutScheme(strings.TrimSpace(s))
	if !ok {
		return DSN{}, badDSN("it does not start with mysql:// or mariadb://")
	}
	cut := strings.IndexAny(rest, "/?#")
	if cut < 0 {
		cut = len(rest)
	}
	authority, tail := rest[:cut], rest[cut:]
	if !strings.Contains(authority, "@") && strings.Contains(tail, "@") && !strings.Contains(tail, "=") ||
		strings.Contains(authority, ":") && strings.Contains(tail, "@") && !strings.Contains(authority, "@") {
		return DSN{}, badDSN("a '/', '?', '#' or '@' in the user or password must be percent-encoded (%%2F, %%3F, %%23, %%40)")
	}
	var d DSN
	if err := d.parseAuthority(authority); err != nil {
		return DSN{}, err
	}
	if strings.Contains(tail, "#") {
		return DSN{}, badDSN("'#' must be percent-encoded (%%23)")
	}
	path, query, _ := strings.Cut(tail, "?")
	schema, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil || strings.Contains(strings.TrimPrefix(path, "/"), "/") {
		return DSN{}, badDSN("the schema after the host is not one name")
	}
	d.Schema = schema
	if err := d.parseParams(query); err != nil {
		return DSN{}, err
	}
	return d, nil
}

func cutScheme(s string) (rest string, ok bool) {
	for _, scheme := range []string{"mysql://", "mariadb://"} {
		if len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return s[len(scheme):], true
		}
	}
	return "", false
}

func (d *DSN) parseAuthority(s string) error {
	host := s
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		host = s[at+1:]
		user, pass, hasPass := strings.Cut(s[:at], ":")
		u, err := url.PathUnescape(user)
		if err != nil {
			return badDSN("the user is not percent-encoded right")
		}
		d.User = u
		if hasPass {
			p, err := url.PathUnescape(pass)
			if err != nil {
				return badDSN("the password is not percent-encoded right ('%%' itself is %%25)")
			}
			d.Password = NewSecret(p)
		}
	}
	return d.parseHost(host)
}

// parseHost never quotes what it read: in a URL whose password was not encoded, the "port"
// is a piece of the password.
func (d *DSN) parseHost(s string) error {
	port := ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return badDSN("the bracket before the host is not closed")
		}
		// The zone after '%' is written %25 in a URL.
		host, err := url.PathUnescape(s[1:end])
		if a, e := netip.ParseAddr(host); err != nil || e != nil || !a.Is6() {
			return badDSN("the host in brackets is not an IPv6 address")
		}
		d.Host, port = host, s[end+1:]
		if port != "" && port[0] != ':' {
			return badDSN("after the IPv6 address comes no port")
		}
		port = strings.TrimPrefix(port, ":")
	case strings.Count(s, ":") > 1:
		return badDSN("an IPv6 host must stand in brackets: mysql://ops@[2001:db8::1]:3306/shop")
	default:
		host, p, _ := strings.Cut(s, ":")
		h, err := url.PathUnescape(host)
		if err != nil || strings.ContainsAny(h, " \t\r\n\x00:@/[]?#%") {
			return badDSN("the host is not a name or address")
		}
		d.Host, port = h, p
	}
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return badDSN("the port is not a number from 1 to 65535")
	}
	d.Port = int(n)
	return nil
}

func (d *DSN) parseParams(query string) error {
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, raw, _ := strings.Cut(pair, "=")
		// A path may hold '+', so that only %XX is decoded.
		value, err := url.PathUnescape(raw)
		if err != nil {
			return badDSN("parameter %s is not percent-encoded right", printable(name))
		}
		if err := d.setParam(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (d *DSN) setParam(name, value string) error {
	texts := map[string]*string{
		"socket": &d.Socket, "ca": &d.CA, "cert": &d.Cert, "key": &d.Key,
		"server-name": &d.ServerName, "password-file": &d.PasswordFile, "defaults-file": &d.DefaultsFile,
	}
	if p, ok := texts[name]; ok {
		if value == "" {
			return badDSN("parameter %s is empty", name)
		}
		*p = value
		return nil
	}
	switch name {
	case "tls":
		mode, ok := tlsMode(value)
		if !ok {
			return badDSN("tls is not one of off, preferred, required, verify-ca, verify-full")
		}
		d.TLS = mode
	case "timeout":
		t, err := time.ParseDuration(value)
		if err != nil || t <= 0 {
			return badDSN("timeout is not a duration such as 10s")
		}
		d.Timeout = t
	case "password":
		return badDSN("the password is no parameter: use password-file=FILE, or LULL_PASSWORD in the environment")
	default:
		return badDSN("parameter %s is unknown; there are socket, tls, ca, cert, key, server-name, password-file, defaults-file, timeout", printable(name))
	}
	return nil
}

func tlsMode(s string) (TLSMode, bool) {
	switch m := TLSMode(strings.ToLower(s)); m {
	case TLSOff, TLSPreferred, TLSRequired, TLSVerifyCA, TLSVerifyFull:
		return m, true
	}
	return "", false
}

// printable is a parameter's name when it can be nothing else, else a stand-in.
func printable(name string) string {
	for _, c := range name {
		if (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return "(unreadable name)"
		}
	}
	if len(name) > 20 || name == "" {
		return "(unreadable name)"
	}
	return strconv.Quote(name)
}

// String is the DSN as a URL, without the password.
func (d DSN) String() string {
	var b strings.Builder
	b.WriteString("mysql://")
	if d.User != "" {
		b.WriteString(url.User(d.User).String() + "@")
	}
	if strings.Contains(d.Host, ":") {
		b.WriteString("[" + url.PathEscape(d.Host) + "]")
	} else {
		b.WriteString(url.PathEscape(d.Host))
	}
	if d.Port != 0 {
		b.WriteString(":" + strconv.Itoa(d.Port))
	}
	b.WriteString("/" + escape(d.Schema))
	timeout := ""
	if d.Timeout != 0 {
		timeout = d.Timeout.String()
	}
	mark := "?"
	for _, p := range [][2]string{
		{"socket", d.Socket},
		{"tls", string(d.TLS)},
		{"ca", d.CA},
		{"cert", d.Cert},
		{"key", d.Key},
		{"server-name", d.ServerName},
		{"password-file", d.PasswordFile},
		{"defaults-file", d.DefaultsFile},
		{"timeout", timeout},
	} {
		if p[1] != "" {
			b.WriteString(mark + p[0] + "=" + escape(p[1]))
			mark = "&"
		}
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer("&", "%26", "@", "%40").Replace(url.PathEscape(s))
}

// Where is the server in few words, for messages: "ops@db.example.com:3306" or
// "ops@/run/mysqld/mysqld.sock".
func (d DSN) Where() string {
	_, addr := d.address()
	if d.User == "" {
		return addr
	}
	return d.User + "@" + addr
}

func (d DSN) address() (network, addr string) {
	if d.Socket != "" {
		return "unix", d.Socket
	}
	host, port := d.Host, d.Port
	if host == "" {
		host = "127.0.0.1"
	}
	if port == 0 {
		port = 3306
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(port))
}

// Env is what a DSN may be completed from. The zero Env has no environment, no home and
// nobody to ask.
type Env struct {
	Getenv func(name string) string
	Home   string
	// Ask shows prompt and reads a password without echo.
	Ask func(prompt string) (string, error)
}

func (e Env) getenv(name string) string {
	if e.Getenv == nil {
		return ""
	}
	return e.Getenv(name)
}

// ParseDSN reads what a user gives as --db: a URL as in the function ParseDSN, "env:NAME"
// for a variable that holds the URL, or "file:PATH" for a file whose first line is it.
func (e Env) ParseDSN(s string) (DSN, error) {
	kind, arg, _ := strings.Cut(strings.TrimSpace(s), ":")
	switch kind {
	case "env":
		text := e.getenv(arg)
		if text == "" {
			return DSN{}, badDSN("the environment has no %s", printableEnv(arg))
		}
		return ParseDSN(text)
	case "file":
		text, err := firstLine(e.path(strings.TrimPrefix(arg, "//")))
		if err != nil {
			return DSN{}, lull.Errorf(lull.Usage, dsnExample, "read DSN file: %w", err)
		}
		return ParseDSN(text)
	}
	return ParseDSN(s)
}

func printableEnv(name string) string {
	if strings.HasPrefix(name, "//") || strings.ContainsAny(name, "@/: ") {
		return "variable of that name"
	}
	return name
}

// path expands a leading "~/".
func (e Env) path(p string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok && e.Home != "" {
		return e.Home + "/" + rest
	}
	return p
}

func firstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
