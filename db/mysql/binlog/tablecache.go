package binlog

// cachedMap keeps a table map's bytes: servers send the same map with every statement.
type cachedMap struct {
	body    []byte
	t       *TableMap
	unknown *unknownTypeError // why rows of the table cannot be read
	want    bool
}

// tableCache keeps the table maps seen last. A map always precedes the rows of its statement,
// so that older ones may go: when the younger half is full, it becomes the older one.
type tableCache struct {
	last       *cachedMap // the one asked for last
	lastID     uint64
	young, old map[uint64]*cachedMap
	columns    int // in the younger half
}

// cachedColumns bounds the memory of each half: a column takes about 100 bytes.
const cachedColumns = 64 << 10

func (c *tableCache) get(id uint64) *cachedMap {
	if c.last != nil && c.lastID == id {
		return c.last
	}
	m := c.young[id]
	if m == nil {
		if m = c.old[id]; m == nil {
			return nil
		}
		c.put(id, m)
	}
	c.last, c.lastID = m, id
	return m
}

func (c *tableCache) put(id uint64, m *cachedMap) {
	if c.young == nil || c.columns > cachedColumns {
		c.old, c.young, c.columns = c.young, map[uint64]*cachedMap{}, 0
	}
	c.young[id] = m
	c.columns += len(m.t.Columns)
	c.last, c.lastID = m, id
}
