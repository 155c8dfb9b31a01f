package restore

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/lull-ops/lull/db"
)

// WriteCSV writes the rows as RFC 4180 has it, in UTF-8 with CRLF and a header. NULL is an
// empty field, an empty string is "". Bytes, and text in a character set that is not decoded
// here (all but ascii, latin1, ucs2 and Unicode's), are hexadecimal, and their columns are
// called "name:hex". ENUM and SET are their members' names, TIMESTAMP is in UTC. All columns
// are written, also generated ones.
func WriteCSV(out io.Writer, t Table) (*File, error) {
	w := bufio.NewWriterSize(out, 1<<20)
	readers := textReaders(t)
	for i, r := range readers {
		name := r.col.Name
		if r.isBytes() {
			name += ":hex"
		}
		csvField(w, i, db.Set, []byte(name))
	}
	fmt.Fprint(w, "\r\n")
	sent := newSum(t.Definition.Table)
	for row, err := range sent.along(t.Rows) {
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Name, err)
		}
		for i, v := range row {
			if v.State == db.Set {
				csvField(w, i, db.Set, readers[i].text(v))
			} else {
				csvField(w, i, v.State, nil)
			}
		}
		if _, err := w.WriteString("\r\n"); err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Name, err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	return &File{Rows: sent.digest.Rows, Digest: sent.digest.Sum()}, nil
}

func textReaders(t Table) []*reader {
	var out []*reader
	for i := range t.Definition.Table.Columns {
		out = append(out, newTextReader(&t.Definition.Table.Columns[i]))
	}
	return out
}

// csvField writes one field; the writer keeps its first error.
func csvField(w *bufio.Writer, i int, state db.State, text []byte) {
	if i > 0 {
		_ = w.WriteByte(',')
	}
	switch {
	case state != db.Set:
	case len(text) > 0 && !bytes.ContainsAny(text, ",\"\r\n"):
		_, _ = w.Write(text)
	default:
		_ = w.WriteByte('"')
		for {
			before, after, quoted := bytes.Cut(text, []byte{'"'})
			_, _ = w.Write(before)
			if !quoted {
				break
			}
			_, _ = w.WriteString(`""`)
			text = after
		}
		_ = w.WriteByte('"')
	}
}
