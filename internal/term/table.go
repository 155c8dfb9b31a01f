package term

import (
	"fmt"
	"io"
	"strings"
)

// Column is the head of a table's column.
type Column struct {
	Head  string
	Right bool // numbers make a column right-aligned by themselves
}

// Cell is a text with a colour, for a Table row.
type Cell struct {
	Text  string
	Color Color
}

// Table lays cells out in aligned columns that fit into a width. Cells are made Safe;
// text that does not fit is cut with …, numbers never are, so a table of too many numbers
// gets wider than asked.
type Table struct {
	Width  int // columns, 0 is 80
	Indent int // columns left free at the left
	Style  Style

	cols []tableColumn
	rows [][]Cell
}

type tableColumn struct {
	head    string
	right   bool
	numbers bool // some cell is a number: the column does not shrink below its cells
	width   int
}

const gap = 2

// NewTable makes an empty table. Heads may all be empty: then no head line is printed.
func NewTable(cols ...Column) *Table {
	t := &Table{}
	for _, c := range cols {
		t.cols = append(t.cols, tableColumn{head: Safe(c.Head), right: c.Right})
	}
	return t
}

// Row adds a row. Integers are written with thousands separators and right-aligned, a Cell
// keeps its colour, anything else is printed as fmt.Sprint does. Missing cells are empty,
// cells past the last column are dropped.
func (t *Table) Row(cells ...any) {
	row := make([]Cell, len(t.cols))
	for i := range row {
		if i >= len(cells) {
			break
		}
		switch v := cells[i].(type) {
		case Cell:
			row[i] = v
		case int:
			row[i].Text = t.number(i, int64(v))
		case int64:
			row[i].Text = t.number(i, v)
		case string:
			row[i].Text = v
		default:
			row[i].Text = fmt.Sprint(v)
		}
		row[i].Text = Safe(row[i].Text)
	}
	t.rows = append(t.rows, row)
}

func (t *Table) number(col int, n int64) string {
	t.cols[col].right, t.cols[col].numbers = true, true
	return Count(n)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo writes the table, one line a row, without trailing spaces.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, t.String())
	return int64(n), err
}

// String is the whole table; every line ends in a newline.
func (t *Table) String() string {
	t.fit()
	var b strings.Builder
	heads := make([]Cell, len(t.cols))
	named := false
	for i, c := range t.cols {
		heads[i] = Cell{Text: c.head, Color: Faint}
		named = named || c.head != ""
	}
	if named {
		t.line(&b, heads)
	}
	for _, r := range t.rows {
		t.line(&b, r)
	}
	return b.String()
}

func (t *Table) line(b *strings.Builder, cells []Cell) {
	last := len(cells) - 1
	for last >= 0 && cells[last].Text == "" {
		last--
	}
	if last >= 0 {
		b.WriteString(strings.Repeat(" ", t.Indent))
	}
	for i := 0; i <= last; i++ {
		c := t.cols[i]
		text := Cut(cells[i].Text, c.width)
		pad := strings.Repeat(" ", max(0, c.width-Columns(text)))
		text = t.Style.Paint(cells[i].Color, text)
		switch {
		case c.right:
			text = pad + text
		case i < last:
			text += pad
		}
		if i > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		b.WriteString(text)
	}
	b.WriteByte('\n')
}

// fit gives each column the width of its widest cell, then takes from the widest text
// column, one column at a time, until the table fits.
func (t *Table) fit() {
	total := t.Indent + gap*(len(t.cols)-1)
	floor := make([]int, len(t.cols))
	for i := range t.cols {
		c := &t.cols[i]
		c.width = Columns(c.head)
		for _, r := range t.rows {
			w := Columns(r[i].Text)
			c.width = max(c.width, w)
			if c.numbers {
				floor[i] = max(floor[i], w)
			}
		}
		floor[i] = max(floor[i], 1)
		total += c.width
	}
	width := t.Width
	if width <= 0 {
		width = defaultWidth
	}
	for ; total > width; total-- {
		widest := -1
		for i, c := range t.cols {
			if c.width > floor[i] && (widest < 0 || c.width > t.cols[widest].width) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.cols[widest].width--
	}
}
