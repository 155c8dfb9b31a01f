// Package lull holds the words that every room shares: error kinds, exit codes,
// ids and the version. It imports only the standard library and owns no logic.
package lull

// Version is set by the linker for releases; a build from source says so.
var Version = "0.1.0-dev"

// ContractVersion is the value of the "lull" field of every --json document. Fields
// are only ever added under one value.
const ContractVersion = 1
