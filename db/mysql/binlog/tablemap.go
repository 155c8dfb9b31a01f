package binlog

import (
	"encoding/binary"
	"fmt"
)

// Type is a column's type in a table map; STRING is already resolved to ENUM or SET.
type Type byte

// Column types as the binlog names them.
const (
	TypeDecimal           Type = 0
	TypeTiny              Type = 1
	TypeShort             Type = 2
	TypeLong              Type = 3
	TypeFloat             Type = 4
	TypeDouble            Type = 5
	TypeNull              Type = 6
	TypeTimestamp         Type = 7
	TypeLongLong          Type = 8
	TypeInt24             Type = 9
	TypeDate              Type = 10
	TypeTime              Type = 11
	TypeDatetime          Type = 12
	TypeYear              Type = 13
	TypeNewDate           Type = 14
	TypeVarchar           Type = 15
	TypeBit               Type = 16
	TypeTimestamp2        Type = 17
	TypeDatetime2         Type = 18
	TypeTime2             Type = 19
	TypeBlobCompressed    Type = 140 // MariaDB
	TypeVarcharCompressed Type = 141 // MariaDB
	TypeVector            Type = 242
	TypeTypedArray        Type = 244
	TypeJSON              Type = 245
	TypeNewDecimal        Type = 246
	TypeEnum              Type = 247
	TypeSet               Type = 248
	TypeTinyBlob          Type = 249
	TypeMediumBlob        Type = 250
	TypeLongBlob          Type = 251
	TypeBlob              Type = 252
	TypeVarString         Type = 253
	TypeString            Type = 254
	TypeGeometry          Type = 255
)

// Column is one column as a table map describes it. Name and what follows come from the
// optional metadata (binlog_row_metadata) and are zero where the log does not have them.
type Column struct {
	Type      Type
	Meta      uint16 // the type's own metadata; for STRING, ENUM and SET the length in bytes
	Nullable  bool
	Name      string
	Unsigned  bool
	Collation uint64   // collation id, 0 when unknown; 63 is binary
	Elements  []string // of ENUM and SET, in the column's character set
	Invisible bool
}

// TableMap describes the table of the row events that carry its ID.
type TableMap struct {
	ID            uint64
	Schema, Table string
	Columns       []Column
	HasNames      bool // the log has the column names (binlog_row_metadata=FULL)
	HasSigns      bool // the log says which columns are unsigned
	PrimaryKey    []int
	PrefixKey     bool // the primary key indexes a prefix of some column

	walk layout
}

// unknownTypeError says that a table's rows cannot be read, while its names can.
type unknownTypeError struct{ typ Type }

func (e *unknownTypeError) Error() string {
	return fmt.Sprintf("column type %d is not known", e.typ)
}

// parseTableMap reads a table map event's body; maria says that MariaDB wrote it. With an
// *unknownTypeError comes a map that has the table's name.
func parseTableMap(body []byte, maria bool) (*TableMap, error) {
	c := cursor{b: body}
	t := &TableMap{ID: c.uint(6)}
	c.take(2)
	t.Schema = string(c.take(int(c.u8())))
	c.u8()
	t.Table = string(c.take(int(c.u8())))
	c.u8()
	n := c.packed()
	if c.bad || n > uint64(len(c.b)) || n == 0 || n > 4096 {
		return nil, fmt.Errorf("table map of %d columns does not fit its event", n)
	}
	t.Columns = make([]Column, n)
	types := c.take(int(n))
	meta := cursor{b: c.packedBytes()}
	for i, x := range types {
		if err := t.Columns[i].readMeta(Type(x), &meta); err != nil {
			return t, fmt.Errorf("column %d of %s.%s: %w", i+1, t.Schema, t.Table, err)
		}
	}
	nulls := c.take((int(n) + 7) / 8)
	if c.bad || meta.bad {
		return nil, fmt.Errorf("table map of %s.%s is cut short", t.Schema, t.Table)
	}
	for i := range t.Columns {
		t.Columns[i].Nullable = bit(nulls, i)
	}
	if err := t.readOptional(&c, maria); err != nil {
		return nil, fmt.Errorf("metadata of %s.%s: %w", t.Schema, t.Table, err)
	}
	t.walk = newLayout(t.Columns)
	return t, nil
}

func bit(b []byte, i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

// readMeta takes a column's type metadata off m.
func (col *Column) readMeta(typ Type, m *cursor) error {
	col.Type = typ
	switch typ {
	case TypeTiny, TypeShort, TypeLong, TypeLongLong, TypeInt24, TypeNull, TypeTimestamp,
		TypeDate, TypeTime, TypeDatetime, TypeYear, TypeNewDate:
	case TypeFloat, TypeDouble, TypeTimestamp2, TypeDatetime2, TypeTime2, TypeBlob, TypeTinyBlob,
		TypeMediumBlob, TypeLongBlob, TypeGeometry, TypeJSON, TypeVector, TypeBlobCompressed:
		col.Meta = uint16(m.u8())
	case TypeVarchar, TypeVarString, TypeVarcharCompressed, TypeBit:
		col.Meta = uint16(m.uint(2))
	case TypeNewDecimal:
		col.Meta = uint16(m.u8())<<8 | uint16(m.u8())
	case TypeString, TypeEnum, TypeSet:
		col.readStringMeta(m)
	default:
		return &unknownTypeError{typ}
	}
	return col.check()
}

// readStringMeta resolves CHAR, BINARY, ENUM and SET, which share one type on the wire. Two
// bits of a CHAR's length above 255 are hidden, inverted, in the type byte.
func (col *Column) readStringMeta(m *cursor) {
	b0, b1 := m.u8(), m.u8()
	if b0&0x30 != 0x30 {
		col.Type = Type(b0 | 0x30)
		col.Meta = uint16(b1) | uint16(b0&0x30^0x30)<<4
		return
	}
	col.Type = Type(b0)
	col.Meta = uint16(b1)
}

// check refuses metadata that no server writes, so that later steps need not.
func (col *Column) check() error {
	ok := true
	switch col.Type {
	case TypeFloat:
		ok = col.Meta == 4 || col.Meta == 0
	case TypeDouble:
		ok = col.Meta == 8 || col.Meta == 0
	case TypeTimestamp2, TypeDatetime2, TypeTime2:
		ok = col.Meta <= 6
	case TypeBlob, TypeTinyBlob, TypeMediumBlob, TypeLongBlob, TypeGeometry, TypeJSON, TypeVector, TypeBlobCompressed:
		ok = col.Meta >= 1 && col.Meta <= 4
	case TypeNewDecimal:
		ok = col.Meta>>8 >= 1 && col.Meta>>8 <= 65 && col.Meta&0xff <= col.Meta>>8
	case TypeBit:
		ok = col.Meta&0xff <= 7 && col.Meta>>8 <= 8
	case TypeEnum:
		ok = col.Meta == 1 || col.Meta == 2
	case TypeSet:
		ok = col.Meta >= 1 && col.Meta <= 8
	case TypeString, TypeVarchar, TypeVarString, TypeVarcharCompressed, TypeTiny, TypeShort, TypeLong,
		TypeLongLong, TypeInt24, TypeTimestamp, TypeDate, TypeTime, TypeDatetime, TypeYear, TypeNewDate, TypeNull:
	default:
		return &unknownTypeError{col.Type}
	}
	if !ok {
		return fmt.Errorf("type %d cannot have metadata %#x", col.Type, col.Meta)
	}
	return nil
}

func (t Type) numeric() bool {
	switch t {
	case TypeTiny, TypeShort, TypeInt24, TypeLong, TypeLongLong, TypeNewDecimal, TypeFloat, TypeDouble, TypeDecimal, TypeYear:
		return true
	}
	return false
}

func (t Type) character() bool {
	switch t {
	case TypeString, TypeVarString, TypeVarchar, TypeBlob, TypeTinyBlob, TypeMediumBlob, TypeLongBlob,
		TypeBlobCompressed, TypeVarcharCompressed:
		return true
	}
	return false
}

// mariaCharacter counts GEOMETRY, too, which MariaDB derives from BLOB.
func (t Type) mariaCharacter() bool { return t == TypeGeometry || t.character() }

func (t Type) enumOrSet() bool { return t == TypeEnum || t == TypeSet }

// The kinds of optional metadata, shared by MySQL 8.0.1+ and MariaDB 10.5+.
const (
	metaSignedness = iota + 1
	metaDefaultCharset
	metaColumnCharset
	metaColumnName
	metaSetElements
	metaEnumElements
	metaGeometryType
	metaSimpleKey
	metaPrefixKey
	metaEnumSetDefaultCharset
	metaEnumSetColumnCharset
	metaVisibility
)

func (t *TableMap) readOptional(c *cursor, maria bool) error {
	character := Type.character
	if maria {
		character = Type.mariaCharacter
	}
	for len(c.b) > 0 {
		kind := c.u8()
		f := cursor{b: c.packedBytes()}
		if c.bad {
			return fmt.Errorf("field %d is cut short", kind)
		}
		switch kind {
		case metaSignedness:
			t.HasSigns = true
			t.readBits(&f, Type.numeric, func(col *Column) { col.Unsigned = true })
		case metaDefaultCharset:
			t.readDefaultCharset(&f, character)
		case metaColumnCharset:
			t.readColumnCharsets(&f, character)
		case metaEnumSetDefaultCharset:
			t.readDefaultCharset(&f, Type.enumOrSet)
		case metaEnumSetColumnCharset:
			t.readColumnCharsets(&f, Type.enumOrSet)
		case metaColumnName:
			for i := range t.Columns {
				t.Columns[i].Name = string(f.packedBytes())
			}
			t.HasNames = !f.bad
		case metaSetElements:
			t.readElements(&f, TypeSet)
		case metaEnumElements:
			t.readElements(&f, TypeEnum)
		case metaSimpleKey, metaPrefixKey:
			t.readKey(&f, kind == metaPrefixKey)
		case metaVisibility:
			t.readInvisible(&f)
		}
		if f.bad {
			return fmt.Errorf("field %d is cut short", kind)
		}
	}
	return nil
}

// readBits reads one bit, most significant first, for each column of the class.
func (t *TableMap) readBits(f *cursor, class func(Type) bool, set func(*Column)) {
	n := 0
	for i := range t.Columns {
		if !class(t.Columns[i].Type) {
			continue
		}
		if n>>3 >= len(f.b) {
			f.bad = true
			return
		}
		if f.b[n>>3]&(0x80>>(n&7)) != 0 {
			set(&t.Columns[i])
		}
		n++
	}
}

func (t *TableMap) readInvisible(f *cursor) {
	visible := make(map[*Column]bool, len(t.Columns))
	t.readBits(f, func(Type) bool { return true }, func(col *Column) { visible[col] = true })
	for i := range t.Columns {
		t.Columns[i].Invisible = !visible[&t.Columns[i]]
	}
}

// readDefaultCharset reads the commonest collation, then (index among the class, collation)
// pairs for the columns that differ.
func (t *TableMap) readDefaultCharset(f *cursor, class func(Type) bool) {
	def := f.packed()
	other := map[uint64]uint64{}
	for len(f.b) > 0 {
		i := f.packed()
		other[i] = f.packed()
	}
	n := uint64(0)
	for i := range t.Columns {
		if class(t.Columns[i].Type) {
			t.Columns[i].Collation = def
			if id, ok := other[n]; ok {
				t.Columns[i].Collation = id
			}
			n++
		}
	}
}

func (t *TableMap) readColumnCharsets(f *cursor, class func(Type) bool) {
	for i := range t.Columns {
		if class(t.Columns[i].Type) {
			t.Columns[i].Collation = f.packed()
		}
	}
}

func (t *TableMap) readElements(f *cursor, typ Type) {
	for i := range t.Columns {
		if t.Columns[i].Type != typ {
			continue
		}
		n := f.packed()
		if n > uint64(len(f.b)) {
			f.bad = true
			return
		}
		t.Columns[i].Elements = make([]string, n)
		for j := range t.Columns[i].Elements {
			t.Columns[i].Elements[j] = string(f.packedBytes())
		}
	}
}

func (t *TableMap) readKey(f *cursor, prefixes bool) {
	for len(f.b) > 0 && !f.bad {
		i := f.packed()
		if prefixes && f.packed() != 0 {
			t.PrefixKey = true
		}
		if i >= uint64(len(t.Columns)) {
			f.bad = true
			return
		}
		t.PrimaryKey = append(t.PrimaryKey, int(i))
	}
}

// tableID reads the id at the front of a row event without parsing the rest.
func tableID(body []byte) (uint64, bool) {
	if len(body) < 8 {
		return 0, false
	}
	return uint64(binary.LittleEndian.Uint32(body)) | uint64(binary.LittleEndian.Uint16(body[4:]))<<32, true
}
