package restore

import (
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/lull-ops/lull/db"
)

type parquetWriter struct {
	w     *parquet.GenericWriter[any]
	cols  []*parquetColumn
	rows  []parquet.Row
	n     int // rows in use
	bytes int // of values in the row group
	count int // rows in the row group
}

// parquetColumn is one column of the file.
type parquetColumn struct {
	name     string
	node     parquet.Node
	optional bool
	value    func(v db.Value) (parquet.Value, bool, error) // false when Parquet has no such value
	missing  int
}

func newParquetWriter(out io.Writer, t Table) (*parquetWriter, error) {
	p := &parquetWriter{rows: make([]parquet.Row, batchRows)}
	for i := range t.Definition.Table.Columns {
		c, err := newParquetColumn(&t.Definition.Table.Columns[i])
		if err != nil {
			return nil, err
		}
		p.cols = append(p.cols, c)
	}
	schema := parquet.NewSchema(t.Name.Table, newGroup(p.cols))
	p.w = parquet.NewGenericWriter[any](out, schema, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("lull", "", ""))
	return p, nil
}

func (p *parquetWriter) add(row db.Row) error {
	out := p.rows[p.n][:0]
	for i, v := range row {
		c := p.cols[i]
		if v.State != db.Set {
			out = append(out, parquet.NullValue().Level(0, 0, i))
			continue
		}
		value, ok, err := c.value(v)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
		level := 0
		if c.optional && ok {
			level = 1
		}
		if !ok {
			c.missing++
			value = parquet.NullValue()
		}
		out = append(out, value.Level(0, level, i))
		p.bytes += len(v.Data) + 8
	}
	p.rows[p.n] = out
	p.count++
	if p.n++; p.n == batchRows || p.bytes >= groupBytes {
		return p.flush(p.bytes >= groupBytes || p.count >= groupRows)
	}
	return nil
}

// flush hands the rows to the library, and ends the row group.
func (p *parquetWriter) flush(group bool) error {
	if _, err := p.w.WriteRows(p.rows[:p.n]); err != nil {
		return err
	}
	p.n = 0
	if !group {
		return nil
	}
	p.bytes, p.count = 0, 0
	return p.w.Flush()
}

func (p *parquetWriter) close() error {
	if err := p.flush(false); err != nil {
		return err
	}
	return p.w.Close()
}

func (p *parquetWriter) warnings() (out []string) {
	for _, c := range p.cols {
		if c.missing > 0 {
			out = append(out, fmt.Sprintf("%d values of column %s are no dates of the calendar: they are NULL in the file", c.missing, c.name))
		}
	}
	return out
}

func newParquetColumn(col *db.Column) (*parquetColumn, error) {
	c := &parquetColumn{name: col.Name, optional: col.Nullable || col.Generated}
	switch col.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit":
		c.integer(col)
	case "float":
		c.node = parquet.Leaf(parquet.FloatType)
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			x, err := strconv.ParseFloat(string(v.Data), 64)
			return parquet.FloatValue(float32(x)), true, err
		}
	case "double":
		c.node = parquet.Leaf(parquet.DoubleType)
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			x, err := strconv.ParseFloat(string(v.Data), 64)
			return parquet.DoubleValue(x), true, err
		}
	case "decimal":
		if err := c.decimal(col); err != nil {
			return nil, err
		}
	case "date", "datetime", "timestamp":
		c.optional = true
		c.date(col)
	default:
		c.text(col)
	}
	if c.optional {
		c.node = parquet.Optional(c.node)
	}
	return c, nil
}

func (c *parquetColumn) integer(col *db.Column) {
	width := map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 32, "int": 32, "year": 16, "bigint": 64, "bit": 64}[col.DataType]
	if col.Unsigned || col.DataType == "bit" || col.DataType == "year" {
		c.node = parquet.Uint(width)
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			n, err := strconv.ParseUint(string(v.Data), 10, width)
			if width < 64 {
				return parquet.Int32Value(int32(uint32(n))), true, err
			}
			return parquet.Int64Value(int64(n)), true, err
		}
		return
	}
	c.node = parquet.Int(width)
	c.value = func(v db.Value) (parquet.Value, bool, error) {
		n, err := strconv.ParseInt(string(v.Data), 10, width)
		if width < 64 {
			return parquet.Int32Value(int32(n)), true, err
		}
		return parquet.Int64Value(n), true, err
	}
}

// What Parquet's readers take: 9 digits fit an INT32, 18 an INT64, and few know more than 38.
const (
	digits32   = 9
	digits64   = 18
	digitsMost = 38
	// defaultDigits is what a DECIMAL without a number has.
	defaultDigits = 10
)

func (c *parquetColumn) decimal(col *db.Column) error {
	digits, err := precision(col)
	if err != nil {
		return err
	}
	switch {
	case digits > digitsMost:
		c.text(col)
	case digits <= digits64:
		c.node = parquet.Decimal(col.Scale, digits, parquet.Int64Type)
		if digits <= digits32 {
			c.node = parquet.Decimal(col.Scale, digits, parquet.Int32Type)
		}
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			n, err := strconv.ParseInt(strings.Replace(string(v.Data), ".", "", 1), 10, 64)
			if digits <= digits32 {
				return parquet.Int32Value(int32(n)), true, err
			}
			return parquet.Int64Value(n), true, err
		}
	default:
		c.bigDecimal(col.Scale, digits)
	}
	return nil
}

// bigDecimal is a number in two's complement, big endian, of as many bytes as the digits need.
func (c *parquetColumn) bigDecimal(scale, digits int) {
	size := int(math.Ceil((float64(digits)*math.Log2(10) + 1) / 8))
	c.node = parquet.Decimal(scale, digits, parquet.FixedLenByteArrayType(size))
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(size)*8)
	c.value = func(v db.Value) (parquet.Value, bool, error) {
		n, ok := new(big.Int).SetString(strings.Replace(string(v.Data), ".", "", 1), 10)
		if !ok {
			return parquet.Value{}, false, fmt.Errorf("%q is no decimal", v.Data)
		}
		if n.Sign() < 0 {
			n.Add(n, modulus)
		}
		return parquet.FixedLenByteArrayValue(n.FillBytes(make([]byte, size))), true, nil
	}
}

// precision is how many digits a DECIMAL has: its type is "decimal(12,2) unsigned".
func precision(col *db.Column) (int, error) {
	_, after, ok := strings.Cut(col.ColumnType, "(")
	if !ok {
		return defaultDigits, nil
	}
	inside, _, _ := strings.Cut(after, ")")
	first, _, _ := strings.Cut(inside, ",")
	n, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("column %s: type %s has no number of digits", col.Name, col.ColumnType)
	}
	return n, nil
}

func (c *parquetColumn) date(col *db.Column) {
	if col.DataType == "date" {
		c.node = parquet.Date()
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			at, err := time.Parse(time.DateOnly, string(v.Data))
			const day = 24 * 60 * 60
			return parquet.Int32Value(int32(at.Unix() / day)), err == nil, nil
		}
		return
	}
	c.node = parquet.TimestampAdjusted(parquet.Microsecond, col.DataType == "timestamp")
	c.value = func(v db.Value) (parquet.Value, bool, error) {
		at, err := time.Parse(time.DateTime, string(v.Data)) // takes a fraction, too
		return parquet.Int64Value(at.UnixMicro()), err == nil, nil
	}
}

// text is also for bytes, which stay as they are.
func (c *parquetColumn) text(col *db.Column) {
	r := newTextReader(col)
	switch {
	case r.isBytes() && len(r.members) == 0:
		c.node = parquet.Leaf(parquet.ByteArrayType)
		c.value = func(v db.Value) (parquet.Value, bool, error) {
			return parquet.ByteArrayValue(append([]byte(nil), v.Data...)), true, nil
		}
		return
	case col.DataType == "json":
		c.node = parquet.JSON()
	default:
		c.node = parquet.String()
	}
	c.value = func(v db.Value) (parquet.Value, bool, error) {
		return parquet.ByteArrayValue(append([]byte(nil), r.text(v)...)), true, nil
	}
}
