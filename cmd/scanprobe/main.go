package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/lull-ops/lull/keep/history/binlogs"
)

func main() {
	logs, err := binlogs.Files(os.Args[1:])
	if err != nil {
		panic(err)
	}
	f, _ := os.Create("/tmp/cpu.prof")
	pprof.StartCPUProfile(f)
	defer pprof.StopCPUProfile()
	t := time.Now()
	r, err := binlogs.Scan(context.Background(), logs, binlogs.Query{MinRows: 100, NoWhere: true})
	fmt.Println(err, time.Since(t))
	if err == nil {
		fmt.Println(r.Transactions, r.Bytes, len(r.Touches), r.Gaps, r.Passed)
		for n, s := range r.Stats {
			fmt.Println(n, s.Transactions, s.Inserted, s.Updated, s.Deleted, s.UsualDeletes())
		}
	}
}
