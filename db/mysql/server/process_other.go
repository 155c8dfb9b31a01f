//go:build !linux

package server

import "syscall"

// dieWithParent cannot be asked for here: a server outlives a process that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
