package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/lull-ops/lull"
	"github.com/spf13/cobra"
)

// newVersionCmd makes `lull version`.
func newVersionCmd(a *runner) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		GroupID: setUp,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			commit := builtFrom()
			if a.json {
				return a.emit(struct {
					document
					Version  string `json:"version"`
					Commit   string `json:"commit"`
					Go       string `json:"go"`
					Platform string `json:"platform"`
				}{newDocument(), lull.Version, commit, runtime.Version(), platform})
			}
			line := fmt.Sprintf("lull %s %s %s", lull.Version, runtime.Version(), platform)
			if commit != "" {
				line += " " + commit
			}
			_, err := fmt.Fprintln(a.stdout, line)
			return err
		},
	}
}

// builtFrom is the commit the program was built from, "" when the build does not know.
func builtFrom() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
