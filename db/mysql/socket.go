package mysql

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"reflect"
	"unsafe"
)

const (
	comBinlogDump = 0x12

	dumpNonBlock     = 0x01 // end the stream at the end of the last log
	dumpSendAnnotate = 0x02 // MariaDB: do not leave out the statements' texts
)

// socket is the network connection below a driver connection, TLS included. The driver
// does its part - dialing, TLS, authentication - but cannot stream a binlog, and keeps the
// connection in an unexported field. TestSocket guards the field's name and type when the
// driver is upgraded. The driver must be idle and must not be used but to close it.
func socket(conn driver.Conn) (net.Conn, error) {
	v := reflect.ValueOf(conn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("driver connection is a %T", conn)
	}
	field := v.Elem().FieldByName("netConn")
	if !field.IsValid() || field.Type() != reflect.TypeFor[net.Conn]() {
		return nil, errors.New("driver connection has no field netConn")
	}
	unread := v.Elem().FieldByName("buf")
	if unread.IsValid() && unread.Kind() == reflect.Struct {
		unread = unread.FieldByName("buf")
	}
	if !unread.IsValid() || unread.Kind() != reflect.Slice {
		return nil, errors.New("driver connection has no field buf.buf")
	}
	if unread.Len() != 0 {
		return nil, fmt.Errorf("driver connection has %d bytes that nobody read", unread.Len())
	}
	nc := *(*net.Conn)(unsafe.Pointer(field.UnsafeAddr())) //nolint:gosec // reflect cannot read an unexported field's value
	if nc == nil {
		return nil, errors.New("driver connection is closed")
	}
	return nc, nil
}

// dumpCommand is the packet that asks for the log from a place on.
func dumpCommand(file string, pos, serverID uint32, flags uint16) []byte {
	b := make([]byte, 4, 4+11+len(file))
	b = append(b, comBinlogDump)
	b = binary.LittleEndian.AppendUint32(b, pos)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint32(b, serverID)
	b = append(b, file...)
	n := len(b) - 4
	b[0], b[1], b[2] = byte(n), byte(n>>8), byte(n>>16)
	return b
}

// startDump opens a connection and sends the command on it.
func (c *Conn) startDump(ctx context.Context, file string, pos uint32, follow *following) (driver.Conn, net.Conn, error) {
	conn, err := c.dumper.Connect(ctx)
	if err != nil {
		return nil, nil, classify(ctx, c.DSN, err)
	}
	// Without the first, the server refuses to send checksums; without the second, MariaDB
	// rewrites GTID events for an old replica. Each server ignores the other's.
	setup := []string{
		"SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', @mariadb_slave_capability = 4",
		"SET SESSION net_write_timeout = 3600",
	}
	flags := uint16(dumpNonBlock)
	if follow != nil {
		flags = 0
		if err := follow.confirm(ctx, c, conn); err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
		setup = append(setup, heartbeats())
	}
	for _, stmt := range setup {
		if err := execRaw(ctx, conn, stmt); err != nil {
			return nil, nil, errors.Join(c.failed(ctx, "set up binlog stream", err), conn.Close())
		}
	}
	nc, err := socket(conn)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if c.Flavor == MariaDB {
		flags |= dumpSendAnnotate
	}
	if _, err := nc.Write(dumpCommand(file, pos, dumpServerID(), flags)); err != nil {
		return nil, nil, errors.Join(c.failed(ctx, "ask for binlog "+file, err), nc.Close())
	}
	return conn, nc, nil
}
