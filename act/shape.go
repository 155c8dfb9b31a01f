package act

import (
	"encoding/json"
	"slices"

	"github.com/lull-ops/lull/db"
)

// stored is a Table as plan.json has it.
type stored Table

// MarshalJSON writes the table. The members of ENUMs and SETs are bytes in any character
// set, which JSON cannot hold: each byte is written as the character with its number.
func (t Table) MarshalJSON() ([]byte, error) {
	s := stored(t)
	s.Shape = recode(t.Shape, func(b string) string {
		out := make([]rune, len(b))
		for i := range len(b) {
			out[i] = rune(b[i])
		}
		return string(out)
	})
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Table) UnmarshalJSON(b []byte) error {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = Table(s)
	t.Shape = recode(s.Shape, func(text string) string {
		out := make([]byte, 0, len(text))
		for _, r := range text {
			out = append(out, byte(r))
		}
		return string(out)
	})
	return nil
}

// recode copies the shape with every member of its ENUMs and SETs changed.
func recode(t *db.Table, fn func(string) string) *db.Table {
	if t == nil {
		return nil
	}
	out := *t
	out.Columns = slices.Clone(t.Columns)
	for i := range out.Columns {
		c := &out.Columns[i]
		c.Elements = slices.Clone(c.Elements)
		for k := range c.Elements {
			c.Elements[k] = fn(c.Elements[k])
		}
	}
	return &out
}
