package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// keyDef is a key or constraint of a table as it is written.
type keyDef struct {
	name    string
	parts   []keyPart
	primary bool
	unique  bool
	foreign *db.ForeignKey
	period  string // PERIOD FOR period (parts)
	ignored bool   // CHECK: takes no name among the keys
}

// keyPart is one column of a key; name is "" for an expression.
type keyPart struct {
	name   string
	prefix bool
	period bool // WITHOUT OVERLAPS: name is a period
}

// keys are the keys written with the column itself.
func (d *columnDef) keys() []*keyDef {
	part := []keyPart{{name: d.col.Name}}
	var out []*keyDef
	if d.primary {
		out = append(out, &keyDef{primary: true, parts: part})
	}
	if d.unique {
		out = append(out, &keyDef{unique: true, parts: part})
	}
	if d.refers != nil {
		out = append(out, &keyDef{foreign: d.refers})
	}
	return out
}

// tableKey takes a key or constraint of a table; ok is false when the next item is not one.
func (c *cursor) tableKey(schema string) (k *keyDef, ok bool, err error) {
	k = &keyDef{}
	named := c.any("CONSTRAINT")
	if named && !c.peek().isOneOf("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") {
		c.words("IF", "NOT", "EXISTS")
		k.name, _ = c.name()
	}
	next := c.peekAt(1)
	switch {
	case c.words("PRIMARY", "KEY"):
		k.primary = true
	case c.any("UNIQUE"):
		k.unique = true
		c.any("KEY", "INDEX")
	case c.words("FOREIGN", "KEY"):
		return k, true, c.foreignKey(k, schema)
	case c.any("CHECK"):
		k.ignored = true
		c.skipItem()
		return k, true, nil
	case c.peek().isOneOf("FULLTEXT", "SPATIAL"), c.peek().isWord("VECTOR") && next.isOneOf("KEY", "INDEX"):
		c.i++
		c.any("KEY", "INDEX")
	case c.words("PERIOD", "FOR"):
		k.period, _ = c.name()
	case c.any("KEY", "INDEX"):
	case named:
		return nil, false, c.expected("PRIMARY KEY, UNIQUE, FOREIGN KEY or CHECK")
	default:
		return nil, false, nil
	}
	c.words("IF", "NOT", "EXISTS")
	if !c.peek().isOneOf("USING", "TYPE") || c.peekAt(1).isOp("(") {
		if name, ok := c.name(); ok && k.name == "" {
			k.name = name
		}
	}
	err = c.keyParts(k)
	c.skipItem()
	return k, true, err
}

// keyParts takes [USING x] (a, b(10), (expr) DESC).
func (c *cursor) keyParts(k *keyDef) error {
	if c.any("USING", "TYPE") {
		c.i++
	}
	if !c.op("(") {
		return c.expected(`"("`)
	}
	for {
		if err := c.keyPart(k); err != nil {
			return err
		}
		if c.op(")") {
			return nil
		}
		if !c.op(",") {
			return c.expected(`"," or ")"`)
		}
	}
}

func (c *cursor) keyPart(k *keyDef) error {
	p := keyPart{}
	if c.peek().isOp("(") {
		p.prefix = true
		c.group()
	} else {
		name, ok := c.name()
		if !ok {
			return c.expected("a column of the key")
		}
		p.name = name
		p.prefix = c.group()
		p.period = c.words("WITHOUT", "OVERLAPS")
	}
	c.any("ASC", "DESC")
	k.parts = append(k.parts, p)
	return nil
}

func (c *cursor) foreignKey(k *keyDef, schema string) error {
	c.words("IF", "NOT", "EXISTS")
	if name, ok := c.name(); ok && k.name == "" {
		k.name = name
	}
	fk := &db.ForeignKey{Name: k.name}
	var ok bool
	if fk.ChildColumns, ok = c.names(); !ok {
		return c.expected("the columns of the foreign key")
	}
	if !c.any("REFERENCES") {
		return c.expected("REFERENCES")
	}
	k.foreign = fk
	return c.referenced(fk, schema)
}

// names takes a list of names in parentheses.
func (c *cursor) names() ([]string, bool) {
	if !c.op("(") {
		return nil, false
	}
	var out []string
	for {
		name, ok := c.name()
		if !ok {
			return out, false
		}
		out = append(out, name)
		if c.op(")") {
			return out, true
		}
		if !c.op(",") {
			return out, false
		}
	}
}

// referenced takes what follows REFERENCES. An action that is not written is RESTRICT.
func (c *cursor) referenced(fk *db.ForeignKey, schema string) error {
	parent, ok := c.table(schema)
	if !ok {
		return c.expected("the table that the foreign key refers to")
	}
	fk.Parent, fk.OnDelete, fk.OnUpdate = parent, "RESTRICT", "RESTRICT"
	if c.peek().isOp("(") {
		if fk.ParentColumns, ok = c.names(); !ok {
			return c.expected("a column of " + parent.Table)
		}
	}
	for {
		switch {
		case c.any("MATCH"):
			c.i++
		case c.words("ON", "DELETE"):
			fk.OnDelete = c.action()
		case c.words("ON", "UPDATE"):
			fk.OnUpdate = c.action()
		default:
			return nil
		}
	}
}

func (c *cursor) action() string {
	first := strings.ToUpper(c.peek().Text)
	c.i++
	if c.any("NULL") || c.any("DEFAULT") || c.any("ACTION") {
		return first + " " + strings.ToUpper(c.toks[c.i-1].Text)
	}
	return first
}

// keyer adds keys to a table and gives names to those that have none, as the servers do.
type keyer struct {
	t       *db.Table
	index   map[string]int // column by name in lower case
	used    map[string]bool
	periods map[string][]keyPart
}

func newKeyer(t *db.Table) *keyer {
	k := &keyer{t: t, index: columnIndex(t.Columns), used: map[string]bool{}, periods: map[string][]keyPart{}}
	for _, key := range t.Keys {
		k.used[strings.ToLower(key.Name)] = true
	}
	return k
}

func columnIndex(cols []db.Column) map[string]int {
	m := make(map[string]int, len(cols))
	for i, col := range slices.Backward(cols) {
		m[strings.ToLower(col.Name)] = i
	}
	return m
}

// add puts a key into the table. A column it does not have is an error.
func (k *keyer) add(def *keyDef) error {
	switch {
	case def.ignored:
		return nil
	case def.period != "":
		k.periods[strings.ToLower(def.period)] = def.parts
		return nil
	case def.foreign != nil:
		k.addForeign(def.foreign)
		return nil
	}
	key := db.Key{Name: k.keyName(def), Primary: def.primary}
	for _, p := range def.parts {
		if err := k.addPart(&key, p); err != nil {
			return err
		}
	}
	switch {
	case def.primary:
		for _, i := range key.Columns {
			k.t.Columns[i].Nullable = false
		}
		k.t.Keys = append([]db.Key{key}, k.t.Keys...)
	case def.unique:
		k.t.Keys = append(k.t.Keys, key)
	}
	return nil
}

func (k *keyer) addPart(key *db.Key, p keyPart) error {
	key.Prefix = key.Prefix || p.prefix
	if p.period {
		for _, bound := range k.periods[strings.ToLower(p.name)] {
			if err := k.addPart(key, bound); err != nil {
				return err
			}
		}
		key.Prefix = key.Prefix || k.periods[strings.ToLower(p.name)] == nil
		return nil
	}
	if p.name == "" {
		return nil
	}
	i, ok := k.index[strings.ToLower(p.name)]
	if !ok {
		return fmt.Errorf("key %s of table %s: expected a column of the table, found %q", printable(key.Name), printable(k.t.Table), p.name)
	}
	key.Columns = append(key.Columns, i)
	return nil
}

// keyName is the name a server gives: PRIMARY, or the first column's name, with _2, _3 ...
// when that is taken.
func (k *keyer) keyName(def *keyDef) string {
	name := def.name
	if def.primary {
		name = "PRIMARY"
	}
	if name == "" {
		base := "functional_index"
		if len(def.parts) > 0 && def.parts[0].name != "" {
			base = def.parts[0].name
		}
		name = base
		for n := 2; k.used[strings.ToLower(name)] && n < 1000; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
	}
	k.used[strings.ToLower(name)] = true
	return name
}

func (k *keyer) addForeign(fk *db.ForeignKey) {
	f := *fk
	f.Child = k.t.Name
	if f.Name == "" {
		n := 1
		for _, p := range k.t.Parents {
			if strings.HasPrefix(p.Name, k.t.Table+"_ibfk_") {
				n++
			}
		}
		f.Name = fmt.Sprintf("%s_ibfk_%d", k.t.Table, n)
	}
	k.t.Parents = append(k.t.Parents, f)
}

// settleKeys computes NotNull of every key from the columns, and sorts the keys as the servers
// do: the primary key, then those that tell rows apart.
func settleKeys(t *db.Table) {
	for i := range t.Keys {
		key := &t.Keys[i]
		key.NotNull = len(key.Columns) > 0
		for _, col := range key.Columns {
			key.NotNull = key.NotNull && !t.Columns[col].Nullable
		}
	}
	rank := func(k db.Key) int {
		switch {
		case k.Primary:
			return 0
		case k.NotNull && !k.Prefix:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(t.Keys, func(a, b db.Key) int { return rank(a) - rank(b) })
}
