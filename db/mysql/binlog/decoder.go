package binlog

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
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
	cols  []Column
	shape *db.Table
	steps []step
	// arena holds the values that had to be rendered. It may move while a row is read; values
	// rendered before then keep pointing at the old one, which nothing overwrites.
	arena         []byte
	before, after db.Row
	// docs are the raw JSON documents of the before-image, to which partial updates apply.
	docs [][]byte
	z    columnInflater
}

// step is how to read one column.
type step struct {
	field
	form   form
	meta   uint16
	length int // BINARY(n)
	json   int // place among the JSON columns
}

// NewDecoder makes a decoder for t's rows. shape names the columns and says what the log
// does not (signs, fixed binary lengths, UUID and INET types); it has t's columns in t's order.
func NewDecoder(t *TableMap, shape *db.Table) (*Decoder, error) {
	if len(shape.Columns) != len(t.Columns) {
		return nil, fmt.Errorf("%s has %d columns, the log's rows have %d", shape.Name, len(shape.Columns), len(t.Columns))
	}
	n := len(t.Columns)
	d := &Decoder{cols: t.Columns, shape: shape, steps: make([]step, n), docs: make([][]byte, n)}
	d.before, d.after = make(db.Row, n), make(db.Row, n)
	jsons := 0
	for i := range t.Columns {
		c, s := &t.Columns[i], &shape.Columns[i]
		if !c.Fits(s) {
			return nil, fmt.Errorf("column %s of %s is %s, the log's column %d is of type %d", s.Name, shape.Name, s.ColumnType, i+1, c.Type)
		}
		d.steps[i] = step{field: c.field(), form: formOf(c, s, t.HasSigns), meta: c.Meta, length: s.Length, json: jsons}
		if c.Type == TypeJSON {
			jsons++
		}
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

// image reads one image of count columns into row and returns its length. partial has a bit
// for each JSON column whose value is a diff.
func (d *Decoder) image(row db.Row, b, present []byte, count int, partial []byte) (int, error) {
	at := (count + 7) / 8
	if at > len(b) {
		return 0, errRowShort
	}
	all := count == len(d.steps)
	k := 0
	for i := range d.steps {
		if !all && !bit(present, i) {
			row[i] = db.Value{State: db.Absent}
			d.docs[i] = nil
			continue
		}
		isNull := bit(b, k)
		k++
		if isNull {
			row[i] = db.Value{}
			d.docs[i] = nil
			continue
		}
		s := &d.steps[i]
		n := s.fixed
		if s.prefix == 1 && at < len(b) {
			n = 1 + int(b[at])
		} else if s.prefix > 0 {
			var err error
			if n, err = s.size(b[at:]); err != nil {
				return 0, err
			}
		}
		if n > len(b)-at {
			return 0, errRowShort
		}
		if err := d.value(i, &row[i], b[at+s.prefix:at+n:at+n], partial); err != nil {
			return 0, fmt.Errorf("column %s: %w", d.shape.Columns[i].Name, err)
		}
		at += n
	}
	return at, nil
}

// value renders one value into the arena, or points at it where it is canonical already.
func (d *Decoder) value(i int, v *db.Value, b []byte, partial []byte) error {
	s := &d.steps[i]
	if s.form == formBytes {
		*v = db.Value{State: db.Set, Data: b}
		return nil
	}
	start := len(d.arena)
	switch s.form {
	case formJSON:
		return d.json(i, v, b, partial != nil && bit(partial, s.json))
	case formDeflat:
		data, err := inflateColumn(&d.z, b)
		if err != nil {
			return err
		}
		d.arena = append(d.arena, data...)
	case formPad:
		d.arena = append(d.arena, b...)
		for len(d.arena)-start < s.length {
			d.arena = append(d.arena, 0)
		}
	default:
		d.arena = appendScalar(d.arena, s.form, s.meta, b)
	}
	*v = db.Value{State: db.Set, Data: d.arena[start:len(d.arena):len(d.arena)]}
	return nil
}

func appendScalar(dst []byte, f form, meta uint16, b []byte) []byte {
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
		return appendDecimal(dst, b, int(meta>>8), int(meta&0xff))
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
		return appendTimestamp(dst, uint32(bigEndian(b[:4])), b[4:], meta)
	case formDatetime:
		return appendDatetime2(dst, b, meta)
	case formTime:
		return appendTime2(dst, b, meta)
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

// json renders a document, or the document that a partial update's diffs make of the
// before-image. Without a before-image the log does not have the value.
func (d *Decoder) json(i int, v *db.Value, b []byte, diff bool) (err error) {
	doc := b
	if diff {
		if d.docs[i] == nil {
			*v = db.Value{State: db.Absent}
			return nil
		}
		diffs, err := binjson.ParseDiffs(b)
		if err != nil {
			return err
		}
		if doc, err = binjson.Apply(d.docs[i], diffs); err != nil {
			return err
		}
	}
	d.docs[i] = doc
	start := len(d.arena)
	if d.arena, err = binjson.AppendText(d.arena, doc); err != nil {
		return err
	}
	end := len(d.arena)
	*v = db.Value{State: db.Set, Data: d.arena[start:end:end]}
	needs, err := binjson.NeedsSQL(doc)
	if err != nil || !needs {
		return err
	}
	if d.arena, err = binjson.AppendSQL(d.arena, doc); err != nil {
		return err
	}
	v.Expr = d.arena[end:len(d.arena):len(d.arena)]
	return nil
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
