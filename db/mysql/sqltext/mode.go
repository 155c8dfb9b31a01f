package sqltext

import "github.com/lull-ops/lull/db"

// Emit receives each statement and the number of rows it writes; it must not keep stmt.
// A statement of 0 rows sets the session's sql_mode for those that follow, so all of them
// must run in order and on one connection. What fails between the two leaves the session
// in LaxMode.
type Emit func(stmt []byte, rows int) error

// mode is the sql_mode that the statements emitted so far have set.
type mode struct{ lax bool }

func (m *mode) set(lax bool, emit Emit) error {
	if lax == m.lax {
		return nil
	}
	m.lax = lax
	name := Mode
	if lax {
		name = LaxMode
	}
	return emit([]byte("SET SESSION sql_mode='"+name+"'"), 0)
}

// isZero finds index 0 of an ENUM.
func isZero(v db.Value) bool {
	return v.State == db.Set && len(v.Data) == 1 && v.Data[0] == '0'
}
