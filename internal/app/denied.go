package app

import (
	"errors"
	"slices"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
)

// denied gives the errors of a user who lacks a right their kind and the next step.
func denied(err error) error {
	e, ok := errors.AsType[*driverpkg.MySQLError](err)
	// schema, command, column, SUPER and routine denied
	if !ok || lull.KindOf(err) != lull.Failed || !slices.Contains([]uint16{1044, 1142, 1143, 1227, 1370}, e.Number) {
		return err
	}
	return lull.Errorf(lull.Usage, "`lull check` names the rights that are missing and the statements that grant them", "%w", err)
}
