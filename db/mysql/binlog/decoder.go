package binlog

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binjson"
)

// form is how a value becomes canonical.
type form uint8

const (
	formBytes  form = iota // as it lies in the log
	formSigned             // integer
	formUnsigned
	formFloat
	formDouble
	formDecimal
	formYear
	formDate
	formOldTime
	formOldDatetime
	formOldTimestamp
	formTimestamp
	formDatetime
	formTime
	formBit    // big endian number
	formPad    // BINARY(n): trailing zeros are not logged
	formIndex  // ENUM, SET: little endian number
	formJSON   // MySQL's binary JSON
	formDeflat // MariaDB COMPRESSED column
	formUUID
	formInet4
	formInet6
	formNull
)

// Decoder turns row images of one table map into canonical rows. It is not safe for
// concurrent use: its rows share a buffer.
type Decoder struct {
	cols   []Column
	shape  *db.Table
	forms  []form
	arena  []byte
	before rowBuf
	after  rowBuf
	// docs are the raw JSON documents of the before-image, to which partial updates apply.
	docs [][]byte
	z    columnInflater
}

// rowBuf is a row under construction: values that had to be rendered are spans of the
// arena until it has stopped moving.
type rowBuf struct {
	row   db.Row
	spans []span
}

type span struct{ at, end, expr int } // rendered when end > 0; the expression is arena[end:expr]

// NewDecoder makes a decoder for t's rows. shape names the columns and says what the log
// does not (signs, fixed binary lengths, UUID and INET types); it has t's columns in t's order.
func NewDecoder(t *TableMap, shape *db.Table) (*Decoder, error) {
	if len(shape.Columns) != len(t.Columns) {
		return nil, fmt.Errorf("%s has %d columns, the log's rows have %d", shape.Name, len(shape.Columns), len(t.Columns))
	}
	n := len(t.Columns)
	d := &Decoder{cols: t.Columns, shape: shape, forms: make([]form, n), docs: make([][]byte, n)}
	d.before = rowBuf{make(db.Row, n), make([]span, n)}
	d.after = rowBuf{make(db.Row, n), make([]span, n)}
	for i := range t.Columns {
		if !t.Columns[i].Fits(&shape.Columns[i]) {
			return nil, fmt.Errorf("column %s of %s is %s, the log's column %d is of type %d", shape.Columns[i].Name,
				shape.Name, shape.Columns[i].ColumnType, i+1, t.Columns[i].Type)
		}
		d.forms[i] = formOf(&t.Columns[i], &shape.Columns[i], t.HasSigns)
	}
	return d, nil
}

// Shape is the table whose columns the decoded rows have.
func (d *Decoder) Shape() *db.Table { return d.shape }

func formOf(c *Column, s *db.Column, hasSigns bool) form {
	switch c.Type {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong:
		if hasSigns && c.Unsigned || !hasSigns && s.Unsigned {
			return formUnsigned
		}
		return formSigned
	case TypeString:
		return stringForm(s)
	case TypeBlobCompressed, TypeVarcharCompressed:
		return formDeflat
	}
	if f, ok := fixedForms[c.Type]; ok {
		return f
	}
	return formBytes
}

var fixedForms = map[Type]form{
	TypeFloat: formFloat, TypeDouble: formDouble, TypeNewDecimal: formDecimal, TypeYear: formYear,
	TypeDate: formDate, TypeNewDate: formDate, TypeTime: formOldTime, TypeDatetime: formOldDatetime,
	TypeTimestamp: formOldTimestamp, TypeTimestamp2: formTimestamp, TypeDatetime2: formDatetime,
	TypeTime2: formTime, TypeBit: formBit, TypeEnum: formIndex, TypeSet: formIndex, TypeJSON: formJSON,
	TypeNull: formNull,
}

func stringForm(s *db.Column) form {
	switch s.DataType {
	case "binary":
		return formPad
	case "uuid":
		return formUUID
	case "inet4":
		return formInet4
	case "inet6":
		return formInet6
	}
	return formBytes
}

// decode reads one image. partial has a bit for each JSON column whose value is a diff.
func (d *Decoder) decode(into rowBuf, b, present []byte, count int, partial []byte) (db.Row, error) {
	l := (count + 7) / 8
	nulls, at := b[:l], l
	k, json := 0, 0
	for i := range d.cols {
		v, sp := &into.row[i], &into.spans[i]
		*v, *sp = db.Value{}, span{}
		diff := false
		if d.cols[i].Type == TypeJSON {
			diff = partial != nil && bit(partial, json)
			json++
		}
		if !bit(present, i) {
			v.State = db.Absent
			continue
		}
		isNull := bit(nulls, k)
		k++
		if isNull {
			continue
		}
		f := d.cols[i].field()
		n, err := f.size(b[at:])
		if err != nil {
			return nil, err
		}
		v.State = db.Set
		if err := d.value(i, v, sp, b[at+f.prefix:at+n], diff); err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", d.shape.Columns[i].Name, d.shape.Name, err)
		}
		at += n
	}
	return into.row, nil
}

// value renders one value into the arena, or points at it where it is canonical already.
func (d *Decoder) value(i int, v *db.Value, sp *span, b []byte, diff bool) error {
	sp.at = len(d.arena)
	switch d.forms[i] {
	case formBytes:
		v.Data = b
		return nil
	case formJSON:
		return d.json(i, sp, b, diff)
	case formDeflat:
		data, err := inflateColumn(&d.z, b)
		if err != nil {
			return err
		}
		d.arena = append(d.arena, data...)
	case formPad:
		d.arena = append(d.arena, b...)
		for len(d.arena)-sp.at < d.shape.Columns[i].Length {
			d.arena = append(d.arena, 0)
		}
	default:
		d.arena = appendScalar(d.arena, d.forms[i], &d.cols[i], b)
	}
	sp.end = len(d.arena)
	v.Data = emptyValue
	return nil
}

// emptyValue stands for a rendered value until settle.
var emptyValue = []byte{}

func appendScalar(dst []byte, f form, c *Column, b []byte) []byte {
	switch f {
	case formSigned, formUnsigned:
		return appendInt(dst, b, f == formUnsigned)
	case formIndex:
		return appendInt(dst, b, true)
	case formFloat:
		return appendFloat(dst, b)
	case formDouble:
		return appendDouble(dst, b)
	case formDecimal:
		return appendDecimal(dst, b, int(c.Meta>>8), int(c.Meta&0xff))
	case formYear:
		return appendYear(dst, b[0])
	case formDate:
		return appendDate(dst, b)
	case formOldTime:
		return appendOldTime(dst, b)
	case formOldDatetime:
		return appendOldDatetime(dst, b)
	case formOldTimestamp:
		return appendTimestamp(dst, uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24, nil, 0)
	case formTimestamp:
		return appendTimestamp(dst, uint32(bigEndian(b[:4])), b[4:], c.Meta)
	case formDatetime:
		return appendDatetime2(dst, b, c.Meta)
	case formTime:
		return appendTime2(dst, b, c.Meta)
	case formBit:
		return appendBit(dst, b)
	case formUUID:
		return appendFixed(dst, b, 16, appendUUID)
	case formInet4:
		return appendFixed(dst, b, 4, appendInet4)
	case formInet6:
		return appendFixed(dst, b, 16, appendInet6)
	}
	return dst
}

// appendFixed gives back the trailing zeros that a row image leaves out.
func appendFixed(dst, b []byte, n int, render func(dst, b []byte) []byte) []byte {
	var full [16]byte
	copy(full[:n], b)
	return render(dst, full[:n])
}

// json renders a document, or the document that a partial update's diffs make of the before-image.
func (d *Decoder) json(i int, sp *span, b []byte, diff bool) error {
	doc := b
	if diff {
		diffs, err := binjson.ParseDiffs(b)
		if err != nil {
			return err
		}
		if d.docs[i] == nil {
			return errors.New("a partial JSON update has no document to apply to")
		}
		if doc, err = binjson.Apply(d.docs[i], diffs); err != nil {
			return err
		}
	}
	d.docs[i] = doc
	var err error
	if d.arena, err = binjson.AppendText(d.arena, doc); err != nil {
		return err
	}
	sp.end = len(d.arena)
	needs, err := binjson.NeedsSQL(doc)
	if err != nil || !needs {
		return err
	}
	if d.arena, err = binjson.AppendSQL(d.arena, doc); err != nil {
		return err
	}
	sp.expr = len(d.arena)
	return nil
}

// settle points the rendered values into the arena, which moves no more for this row.
func (d *Decoder) settle(row db.Row) {
	if row == nil {
		return
	}
	spans := d.before.spans
	if &row[0] == &d.after.row[0] {
		spans = d.after.spans
	}
	for i, sp := range spans {
		if sp.end > 0 {
			row[i].Data = d.arena[sp.at:sp.end:sp.end]
		}
		if sp.expr > 0 {
			row[i].Expr = d.arena[sp.end:sp.expr:sp.expr]
		}
	}
}

// columnInflater unpacks MariaDB COMPRESSED columns.
type columnInflater struct {
	src  bytes.Reader
	z    io.ReadCloser
	flat io.ReadCloser
	buf  []byte
}

func (f *columnInflater) inflate(b []byte, size int, raw bool) ([]byte, error) {
	if size > maxInflated {
		return nil, fmt.Errorf("compressed value unfolds to %d bytes", size)
	}
	f.src.Reset(b)
	in := inflater{buf: f.buf}
	var err error
	if raw {
		if f.flat == nil {
			f.flat = flate.NewReader(&f.src)
		} else {
			err = f.flat.(flate.Resetter).Reset(&f.src, nil)
		}
		in.z = f.flat
	} else {
		if f.z == nil {
			f.z, err = zlib.NewReader(&f.src)
		} else {
			err = f.z.(zlib.Resetter).Reset(&f.src, nil)
		}
		in.z = f.z
	}
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	out, err := in.read(size)
	f.buf = out
	return out, err
}
