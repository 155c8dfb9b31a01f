package server_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

var startIn = flag.String("start-in", "", "start a server in this directory, say so and wait to be killed")

func TestMain(m *testing.M) {
	flag.Parse()
	if *startIn == "" {
		servertest.Main(m)
		return
	}
	if _, err := server.Start(context.Background(), server.Options{Dir: *startIn}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("started")
	io.Copy(io.Discard, os.Stdin)
}
