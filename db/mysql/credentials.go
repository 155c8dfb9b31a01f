package mysql

import (
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
)

// complete fills what the URL left open. Passwords come from the URL, the password file,
// LULL_PASSWORD, MYSQL_PWD, and the option files, in this order; the prompt is only used
// where an option file asks for one, or after the server refused to do without.
func (e Env) complete(d DSN) (DSN, error) {
	o, err := e.options(d)
	if err != nil {
		return DSN{}, err
	}
	if err := d.fillPlace(o); err != nil {
		return DSN{}, err
	}
	if err := d.fillTLS(o); err != nil {
		return DSN{}, err
	}
	first(&d.User, o.text("user"), e.getenv("USER"), e.getenv("LOGNAME"))
	for _, p := range []*string{&d.CA, &d.Cert, &d.Key, &d.Socket} {
		*p = e.path(*p)
	}
	if d.User == "" {
		return DSN{}, badDSN("there is no user")
	}
	return e.fillPassword(d, o)
}

// first sets *p to the first text that is not empty, unless it has one.
func first(p *string, texts ...string) {
	for _, t := range texts {
		if *p == "" {
			*p = t
		}
	}
}

func (d *DSN) fillPlace(o options) error {
	if d.Host == "" && d.Socket == "" {
		d.Host = o.text("host")
		if d.Host == "" || d.Host == "localhost" {
			d.Socket = o.text("socket")
		}
	}
	if port := o.text("port"); d.Port == 0 && port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return lull.Errorf(lull.Usage, "correct the option file, or write the port in --db", "read option file: the port is not a number")
		}
		d.Port = int(n)
	}
	first(&d.Schema, o.text("database"))
	return nil
}

func (d *DSN) fillTLS(o options) error {
	first(&d.CA, o.text("ssl-ca"))
	first(&d.Cert, o.text("ssl-cert"))
	first(&d.Key, o.text("ssl-key"))
	mode := strings.ToLower(o.text("ssl-mode"))
	if d.TLS != "" || mode == "" {
		return nil
	}
	names := map[string]TLSMode{
		"disabled": TLSOff, "preferred": TLSPreferred, "required": TLSRequired,
		"verify_ca": TLSVerifyCA, "verify_identity": TLSVerifyFull,
	}
	m, ok := names[mode]
	if !ok {
		return lull.Errorf(lull.Usage, "correct the option file, or write tls= in --db", "read option file: ssl-mode is not one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY")
	}
	d.TLS = m
	return nil
}

func (e Env) fillPassword(d DSN, o options) (DSN, error) {
	if d.Password.IsSet() {
		return d, nil
	}
	if d.PasswordFile != "" {
		p, err := firstLine(e.path(d.PasswordFile))
		if err != nil {
			return DSN{}, lull.Errorf(lull.Usage, "give a file that this user can read, with the password in its first line", "read password file: %w", err)
		}
		d.Password = NewSecret(p)
		return d, nil
	}
	for _, name := range []string{"LULL_PASSWORD", "MYSQL_PWD"} {
		if p := e.getenv(name); p != "" {
			d.Password = NewSecret(p)
			return d, nil
		}
	}
	v, ok := o["password"]
	switch {
	case !ok:
		return d, nil
	case v != nil:
		d.Password = NewSecret(*v)
		return d, nil
	}
	return e.ask(d)
}

// ask prompts for the password; without anybody to ask, d stays as it is.
func (e Env) ask(d DSN) (DSN, error) {
	if e.Ask == nil {
		return d, nil
	}
	p, err := e.Ask("Password for " + d.Where() + ": ")
	if err != nil {
		return DSN{}, lull.Errorf(lull.Usage, "set LULL_PASSWORD or use --password-file", "read password: %w", err)
	}
	d.Password = NewSecret(p)
	return d, nil
}
