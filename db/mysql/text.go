package mysql

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"

	driverpkg "github.com/go-sql-driver/mysql"
)

const (
	comQuery          = 0x03
	flagDeprecateEOF  = 1 << 24 // a result ends with an OK packet instead of EOF
	lengthNull        = 0xfb
	length2, length3  = 0xfc, 0xfd
	length8           = 0xfe
	firstResultBuffer = 256 << 10
)

var errResult = errors.New("result is damaged")

// Text runs a SELECT on a connection, as (*sql.Conn).Raw hands it out, and calls fn with the text
// of each row's values, nil for NULL, which are valid until fn returns. It does what database/sql
// does, in a fraction of the time: nothing is allocated for a row. An error of fn ends it once
// the rest of the result is read over. When the connection is of no use any more the error wraps
// driver.ErrBadConn, too, so that Raw discards it.
func Text(ctx context.Context, driverConn any, stmt []byte, fn func(values [][]byte) error) error {
	conn, ok := driverConn.(driver.Conn)
	if !ok {
		return fmt.Errorf("driver connection is a %T", driverConn)
	}
	nc, err := socket(conn)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), driver.ErrBadConn)
	}
	r := &result{src: nc, buf: make([]byte, firstResultBuffer), shortEnd: deprecatesEOF(conn)}
	if _, err = nc.Write(queryCommand(stmt)); err == nil {
		err = r.rows(fn)
	}
	switch {
	case err == nil, r.ended:
		return err
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return errors.Join(err, driver.ErrBadConn)
}

func queryCommand(stmt []byte) []byte {
	n := len(stmt) + 1
	b := append(make([]byte, 0, n+4), byte(n), byte(n>>8), byte(n>>16), 0, comQuery)
	return append(b, stmt...)
}

// deprecatesEOF reads what the driver and the server agreed on. TestText guards the field.
func deprecatesEOF(conn driver.Conn) bool {
	field := reflect.ValueOf(conn).Elem().FieldByName("capabilities")
	return field.IsValid() && field.CanUint() && field.Uint()&flagDeprecateEOF != 0
}

// result reads the packets that a SELECT is answered with.
type result struct {
	src      io.Reader
	buf      []byte
	r, w     int
	shortEnd bool // no EOF follows the columns
	ended    bool // the last packet was read: the connection is free
}

func (r *result) rows(fn func([][]byte) error) error {
	columns, err := r.columns()
	if err != nil {
		return err
	}
	values := make([][]byte, columns)
	var stopped error
	for {
		p, err := r.packet()
		switch {
		case err != nil:
			return err
		case len(p) == 0:
			return errResult
		case p[0] == packetError:
			return r.serverError(p)
		case p[0] == packetEOF && len(p) < maxPacket:
			r.ended = true
			return stopped
		case stopped != nil:
			continue
		}
		if err := split(values, p); err != nil {
			return err
		}
		stopped = fn(values)
	}
}

// columns reads the head of the result: how many columns it has.
func (r *result) columns() (int, error) {
	p, err := r.packet()
	switch {
	case err != nil:
		return 0, err
	case len(p) == 0 || p[0] == packetOK || p[0] == lengthNull:
		return 0, errResult
	case p[0] == packetError:
		return 0, r.serverError(p)
	}
	n, rest, ok := lengthOf(p)
	const mostColumns = 1 << 16
	if !ok || n > mostColumns {
		return 0, errResult
	}
	skip := int(n)
	if len(rest) > 0 && rest[0] == 0 {
		skip = 0 // MariaDB: the columns are known
	}
	if !r.shortEnd {
		skip++
	}
	for range skip {
		if _, err := r.packet(); err != nil {
			return 0, err
		}
	}
	return int(n), nil
}

func (r *result) serverError(p []byte) error {
	r.ended = true
	if len(p) < 3 {
		return errResult
	}
	e := &driverpkg.MySQLError{Number: binary.LittleEndian.Uint16(p[1:])}
	p = p[3:]
	if len(p) >= 6 && p[0] == '#' {
		copy(e.SQLState[:], p[1:6])
		p = p[6:]
	}
	e.Message = string(p)
	return e
}

// packet is the next packet's payload, valid until the next call.
func (r *result) packet() ([]byte, error) {
	p, more, err := r.part()
	if err != nil || !more {
		return p, err
	}
	whole := append([]byte(nil), p...)
	for more {
		if p, more, err = r.part(); err != nil {
			return nil, err
		}
		whole = append(whole, p...)
	}
	return whole, nil
}

// part is one packet of a payload; more says that another one continues it.
func (r *result) part() (p []byte, more bool, err error) {
	if err := r.fill(4); err != nil {
		return nil, false, err
	}
	n := int(r.buf[r.r]) | int(r.buf[r.r+1])<<8 | int(r.buf[r.r+2])<<16
	r.r += 4
	if err := r.fill(n); err != nil {
		return nil, false, err
	}
	p = r.buf[r.r : r.r+n]
	r.r += n
	return p, n == maxPacket, nil
}

// fill makes n bytes available behind r.r.
func (r *result) fill(n int) error {
	if r.w-r.r >= n {
		return nil
	}
	into := r.buf
	if n > len(into) {
		into = make([]byte, n)
	}
	r.w = copy(into, r.buf[r.r:r.w])
	r.buf, r.r = into, 0
	m, err := io.ReadAtLeast(r.src, r.buf[r.w:], n-r.w)
	r.w += m
	return cut(err)
}

// split cuts a row into its values.
func split(values [][]byte, p []byte) error {
	for i := range values {
		if len(p) == 0 {
			return errResult
		}
		if p[0] == lengthNull {
			values[i], p = nil, p[1:]
			continue
		}
		n, rest, ok := lengthOf(p)
		if !ok || n > uint64(len(rest)) {
			return errResult
		}
		values[i], p = rest[:n:n], rest[n:]
	}
	return nil
}

// lengthOf reads a length-encoded integer off the front of p, which is not empty.
func lengthOf(p []byte) (n uint64, rest []byte, ok bool) {
	size := 0
	switch p[0] {
	case length2:
		size = 2
	case length3:
		size = 3
	case length8:
		size = 8
	default:
		return uint64(p[0]), p[1:], p[0] < lengthNull
	}
	if len(p) <= size {
		return 0, nil, false
	}
	for i := size; i > 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	return n, p[1+size:], true
}
