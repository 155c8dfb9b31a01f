package binlog

import (
	"bytes"
	"testing"

	"github.com/lull-ops/lull/db"
)

func FuzzTableMap(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x01\x00\x01d\x00\x01t\x00\x05\x03\x0f\xf6\xfe\xfc\x07\x14\x00\x0a\x02\xf8\x01\x02\x1f"+
		"\x01\x01\x80\x02\x01\x2d\x04\x0a\x02id\x01v\x01d\x01s\x01b\x08\x01\x00"), true)
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x01\x00\x01d\x00\x01t\x00\x02\xfe\xfe\x04\xf7\x01\xf8\x01\x03\x06\x04\x02\x01a\x01b\x05\x03\x01\x01c"), false)
	f.Fuzz(func(t *testing.T, body []byte, maria bool) {
		m, err := parseTableMap(body, maria)
		if err != nil {
			return
		}
		if s := m.Shape(); s != nil {
			if len(s.Columns) != len(m.Columns) {
				t.Fatalf("shape of %d columns for %d", len(s.Columns), len(m.Columns))
			}
			if _, err := NewDecoder(m, s); err != nil {
				t.Fatalf("its own shape does not fit: %v", err)
			}
		}
	})
}

// FuzzRows reads row images of a table with every type: what is counted is what is decoded.
func FuzzRows(f *testing.F) {
	columns := []Column{
		{Type: TypeTiny},
		{Type: TypeShort, Unsigned: true},
		{Type: TypeInt24},
		{Type: TypeLong},
		{Type: TypeLongLong, Unsigned: true},
		{Type: TypeFloat, Meta: 4},
		{Type: TypeDouble, Meta: 8},
		{Type: TypeNewDecimal, Meta: 65<<8 | 30},
		{Type: TypeNewDecimal, Meta: 9<<8 | 9},
		{Type: TypeYear},
		{Type: TypeDate},
		{Type: TypeNewDate},
		{Type: TypeTime},
		{Type: TypeTime2, Meta: 5},
		{Type: TypeDatetime},
		{Type: TypeDatetime2, Meta: 6},
		{Type: TypeTimestamp},
		{Type: TypeTimestamp2, Meta: 1},
		{Type: TypeBit, Meta: 7<<8 | 7},
		{Type: TypeEnum, Meta: 2},
		{Type: TypeSet, Meta: 8},
		{Type: TypeString, Meta: 20},
		{Type: TypeString, Meta: 1020},
		{Type: TypeVarchar, Meta: 255},
		{Type: TypeVarchar, Meta: 256},
		{Type: TypeVarcharCompressed, Meta: 300},
		{Type: TypeBlobCompressed, Meta: 3},
		{Type: TypeBlob, Meta: 1},
		{Type: TypeJSON, Meta: 4},
		{Type: TypeGeometry, Meta: 4},
		{Type: TypeString, Meta: 16},
		{Type: TypeNull},
		{Type: TypeString, Meta: 16},
		{Type: TypeString, Meta: 4},
		{Type: TypeString, Meta: 16},
	}
	m := &TableMap{Columns: columns, walk: newLayout(columns)}
	shape := &db.Table{Columns: make([]db.Column, len(columns))}
	for i, typ := range map[int]string{30: "uuid", 32: "inet6", 33: "inet4", 34: "binary"} {
		shape.Columns[i] = db.Column{DataType: typ}
	}
	d, err := NewDecoder(m, shape)
	if err != nil {
		f.Fatal(err)
	}
	all := bytes.Repeat([]byte{0xff}, 5)
	f.Add(append(append(all[:5:5], all...), make([]byte, 300)...), uint8(0))
	f.Add(append(append(all[:5:5], all...), bytes.Repeat([]byte{0x81}, 300)...), uint8(1))
	f.Add(append(append([]byte{1, 0, 0, 0x10, 0}, 0xff, 0, 0, 0x10, 0), make([]byte, 60)...), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, op uint8) {
		if len(b) < 10 {
			return
		}
		r := Rows{Op: db.Op(op%3 + 1), Table: m, data: b[10:], partial: op >= 128 && op%3 == 1}
		if r.Op != db.Insert {
			r.before = b[:5]
		}
		if r.Op != db.Delete {
			r.after = b[5:10]
		}
		r.nBefore, r.nAfter = countBits(r.before, len(columns)), countBits(r.after, len(columns))
		want, err := r.Count()
		got := 0
		derr := r.Each(d, func(_, _ db.Row) error { got++; return nil })
		if derr == nil && (err != nil || got != want) {
			t.Fatalf("%d rows decoded, %d counted: %v", got, want, err)
		}
	})
}

func FuzzGTID(f *testing.F) {
	for name, ev := range gtidEvents {
		f.Add(ev, byte(len(name)))
	}
	f.Fuzz(func(t *testing.T, body []byte, kind byte) {
		typ := []EventType{GTIDEvent, AnonymousGTIDEvent, GTIDTaggedEvent, MariaGTIDEvent}[kind%4]
		g, err := parseAnyGTID(&rawEvent{Header: Header{Type: typ}, body: body})
		if err == nil && g.text == "" && typ != AnonymousGTIDEvent {
			t.Fatalf("a GTID event without a GTID: %x", body)
		}
	})
}

var gtidEvents = map[string][]byte{
	"maria":        []byte("\x07\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"),
	"maria group":  []byte("\x07\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00"),
	"maria XA":     []byte("\x07\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x40\x01\x00\x00\x00\x01\x01xy\x10\x09\x00\x00\x00\x00\x00\x00\x00"),
	"mysql":        append(bytes.Repeat([]byte{1}, 25), append([]byte{2}, make([]byte, 23)...)...),
	"mysql tagged": []byte("\x02\x40\x02\x00\x00\x02" + "\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02" + "\x04\x04\x06\x06abc\x08\x00\x0a\x02\x0c\x02"),
}
