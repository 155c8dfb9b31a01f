package s3

import (
	"strings"
	"testing"

	"github.com/lull-ops/lull"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]Options{
		"s3://b":                                 {Bucket: "b"},
		"s3://b/":                                {Bucket: "b"},
		"s3://b/a/c/":                            {Bucket: "b", Prefix: "a/c"},
		"s3://b/a?region=eu-west-1&lock-days=35": {Bucket: "b", Prefix: "a", Region: "eu-west-1", LockDays: 35},
		"s3://b?endpoint=https://storage.googleapis.com":        {Bucket: "b", Endpoint: "storage.googleapis.com"},
		"s3://b/p?endpoint=http://127.0.0.1:9000/&path-style=1": {Bucket: "b", Prefix: "p", Endpoint: "127.0.0.1:9000", Insecure: true, PathStyle: true},
	} {
		got, err := ParseURL(text)
		if err != nil || got != want {
			t.Errorf("%s: got %#v, %v", text, got, err)
		}
		if again, err := ParseURL(got.String()); err != nil || again != want {
			t.Errorf("%s: %s does not read back: %#v, %v", text, got, again, err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", `"" is not s3`},
		{"gs://b", `"gs" is not s3`},
		{"s3:", "is no bucket"},
		{"s3://b:80/x", "is no bucket"},
		{"s3://key:hunter2@b/x", "there is a key in it"},
		{"s3://b/%zz?hunter2", "it is no URL"},
		{"s3://b?regoin=x", `parameter "regoin" is not known`},
		{"s3://b?region=x&region=y", "region is in it twice"},
		{"s3://b?path-style=maybe", `path-style is "maybe"`},
		{"s3://b?lock-days=-1", `lock-days is "-1"`},
		{"s3://b?endpoint=host", "endpoint is no http"},
		{"s3://b?endpoint=https://a:hunter2@host", "endpoint is no http"},
		{"s3://b?endpoint=https://host/path", "more than a host"},
		{"s3://b?a;b", "cannot be read"},
		{"s3://b#x", "there is a # in it"},
	} {
		_, err := ParseURL(c.text)
		if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || lull.HintOf(err) == "" {
			t.Errorf("%s: got %v", c.text, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"s3://b/p?endpoint=http://h:1&region=r&path-style=1&lock-days=3", "s3://b/%2F//x", "s3://b?endpoint=https://[::1]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseURL(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		if o.Bucket == "" {
			t.Errorf("%q has no bucket", text)
		}
	})
}
