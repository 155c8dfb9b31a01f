// Command lull finds and undoes accidents in a database. One file holds one command; root.go
// holds what they share. No logic of a room lives here.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	args := takeArgs(os.Args)
	os.Exit(run(interruptible(), args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// interruptible is a context that the first signal to stop ends. That puts the signals'
// default back, so the second one kills.
func interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	context.AfterFunc(ctx, stop)
	return ctx
}

func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it must stay ignored
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
