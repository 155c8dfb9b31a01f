package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
)

// Error numbers of the servers that decide what the user is told.
const (
	errTooManyConnections     = 1040
	errSchemaDenied           = 1044
	errAccessDenied           = 1045
	errNoGrant                = 1141
	errTableAccessDenied      = 1142
	errUnknownSchema          = 1049
	errSyntax                 = 1064
	errHostBlocked            = 1129
	errHostNotAllowed         = 1130
	errUnknownTable           = 1146
	errTooManyUserConnections = 1203
	errSpecificAccessDenied   = 1227
	errNoRoutine              = 1305
	errNoTrigger              = 1360
	errNoEvent                = 1539
	errBinlogDump             = 1236
	errNoBinlog               = 1381
	errAccessDeniedNoPassword = 1698
	errPluginNotLoaded        = 1524
	errNeedsTLS               = 3159
	errShutdown               = 1053
	errColumnAccessDenied     = 1143
	errReadPacket             = 1158 // to errWriteTimeout: the connection broke
	errWriteTimeout           = 1161
	errTooManyResources       = 1226
	errInterrupted            = 1317
	errRoutineAccessDenied    = 1370
	errKilled                 = 1927
	errIdleTooLong            = 4031
	errGone                   = 2006
	errLost                   = 2013
)

// passes says that a server's error comes from its state, and trying again may help.
func passes(number int) bool {
	switch number {
	case errTooManyConnections, errTooManyUserConnections, errShutdown, errTooManyResources, errInterrupted, errKilled, errIdleTooLong, errGone, errLost, errHostBlocked:
		return true
	}
	return number >= errReadPacket && number <= errWriteTimeout
}

// denied says that the server does not let the user do it.
func denied(number int) bool {
	switch number {
	case errSchemaDenied, errAccessDenied, errAccessDeniedNoPassword, errNoGrant, errTableAccessDenied, errColumnAccessDenied,
		errSpecificAccessDenied, errRoutineAccessDenied, errHostNotAllowed:
		return true
	}
	return false
}

// failed wraps an error of a query on a connection that was fine before.
func (c *Conn) failed(ctx context.Context, what string, err error) error {
	if _, ok := errors.AsType[*lull.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n := serverErrorNumber(err)
	switch {
	case passes(n), n == 0 && isNetwork(err):
		return lull.Errorf(lull.Unreachable, "", "%s at %s: %w", what, c.DSN.Where(), shorten(err))
	case denied(n):
		return lull.Errorf(lull.Usage, "lull check says what the user "+c.Account+" lacks", "%s at %s: %w", what, c.DSN.Where(), err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Explain wraps an error of a statement that a caller ran on DB, what in words such as "read
// the rows": when trying again may help it is a lull.Error of kind Unreachable, when the user
// may not do it, one of kind Usage.
func (c *Conn) Explain(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	return c.failed(ctx, what, err)
}

// serverErrorNumber is the number of a server's error in err's chain, else 0.
func serverErrorNumber(err error) int {
	if e, ok := errors.AsType[*driverpkg.MySQLError](err); ok {
		return int(e.Number)
	}
	return 0
}

// classify gives an error of connecting its kind and the next step.
func classify(ctx context.Context, d DSN, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	if n := serverErrorNumber(err); n != 0 {
		return classifyServer(d, n, err)
	}
	if e := classifyTLS(d, err); e != nil {
		return e
	}
	where := d.Where()
	switch {
	case errors.Is(err, driverpkg.ErrOldPassword), errors.Is(err, driverpkg.ErrCleartextPassword), errors.Is(err, driverpkg.ErrUnknownPlugin):
		return lull.Errorf(lull.Usage, "give lull a user that logs in with caching_sha2_password or mysql_native_password",
			"log in as %s: the user's way of authentication is not supported: %w", where, err)
	case isNetwork(err):
		return lull.Errorf(lull.Unreachable, unreachableHint(d), "connect to %s: %w", where, shorten(err))
	}
	return lull.Errorf(lull.Failed, "", "connect to %s: %w", where, err)
}

func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, e := range []error{driverpkg.ErrInvalidConn, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// shorten replaces the driver's words for a server that hung up.
func shorten(err error) error {
	if errors.Is(err, driverpkg.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) {
		return errors.New("the server ended the connection")
	}
	return err
}

func unreachableHint(d DSN) string {
	if d.Socket != "" {
		return "is the server running, and is this its socket?"
	}
	return "is the server running, and do the port, firewall and bind_address let this machine in?"
}

func classifyServer(d DSN, number int, err error) error {
	where := d.Where()
	switch number {
	case errAccessDenied, errAccessDeniedNoPassword:
		hint := "give the password with password-file=FILE in the URL, LULL_PASSWORD, or ~/.my.cnf"
		if d.Password.IsSet() {
			hint = "check the user and the password, and from which hosts the user may come"
		}
		if d.tlsMode() == TLSOff {
			hint += "; a user that must use TLS is refused the same way (tls=required)"
		}
		return lull.Errorf(lull.Usage, hint, "log in as %s: %w", where, err)
	case errUnknownSchema:
		return lull.Errorf(lull.Usage, "the schema is the last part of the URL: mysql://USER@HOST/SCHEMA", "open schema %s at %s: %w", d.Schema, where, err)
	case errSchemaDenied:
		return lull.Errorf(lull.Usage, "grant the user SELECT on it, or check its spelling", "open schema %s at %s: %w", d.Schema, where, err)
	case errHostNotAllowed:
		return lull.Errorf(lull.Usage, "create the user for this machine's address: CREATE USER 'name'@'address' ...", "log in as %s: %w", where, err)
	case errHostBlocked:
		return lull.Errorf(lull.Unreachable, "FLUSH HOSTS on the server, or mysqladmin flush-hosts", "connect to %s: %w", where, err)
	case errTooManyConnections, errTooManyUserConnections:
		return lull.Errorf(lull.Unreachable, "the server has no connection left; try again later", "connect to %s: %w", where, err)
	case errNeedsTLS:
		return lull.Errorf(lull.Usage, "use tls=required, or tls=verify-full with ca=FILE", "connect to %s: %w", where, err)
	case errPluginNotLoaded:
		return lull.Errorf(lull.Usage, "give lull a user that logs in with caching_sha2_password", "log in as %s: %w", where, err)
	}
	return lull.Errorf(lull.Failed, "", "connect to %s: %w", where, err)
}

// classifyTLS is nil when TLS is not what failed.
func classifyTLS(d DSN, err error) error {
	where := d.Where()
	if errors.Is(err, driverpkg.ErrNoTLS) {
		return lull.Errorf(lull.Usage, "turn TLS on at the server (ssl_cert, ssl_key), or use tls=off where the network is trusted",
			"connect to %s: the server has no TLS and tls=%s asks for it", where, d.tlsMode())
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return lull.Errorf(lull.Usage, "use the name in the certificate as host, or server-name=NAME; through a tunnel tls=verify-ca checks all but the name",
			"verify certificate of %s: %w", where, e)
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		hint := "give the authority that signed it with ca=FILE"
		if d.CA != "" {
			hint = "the file in ca= is not of the authority that signed it, or it has expired"
		}
		return lull.Errorf(lull.Usage, hint, "verify certificate of %s: %w", where, e)
	}
	_, alert := errors.AsType[tls.AlertError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	if alert || record || strings.HasPrefix(err.Error(), "tls: ") || strings.HasPrefix(err.Error(), "remote error: tls: ") {
		return lull.Errorf(lull.Usage, "the server may ask for a client certificate (cert=FILE&key=FILE) or speak old TLS only (tls=required lets it)",
			"agree on TLS with %s: %w", where, err)
	}
	return nil
}
