package s3

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
)

// Options say where the objects are and who asks for them.
type Options struct {
	Endpoint  string // host or host:port; empty is Amazon's
	Region    string // empty: found out at Amazon, us-east-1 elsewhere
	Bucket    string
	Prefix    string // before all names, without slashes around it; may be empty
	Insecure  bool   // http instead of https
	PathStyle bool   // the bucket in the path of URLs instead of the host name
	LockDays  int    // above 0: nobody can delete an object for so many days

	AccessKey    string
	SecretKey    string `json:"-"`
	SessionToken string `json:"-"`
}

const amazon = "s3.amazonaws.com"

// String is the URL that ParseURL reads, without keys.
func (o Options) String() string {
	q := url.Values{}
	if o.Endpoint != "" {
		scheme := "https://"
		if o.Insecure {
			scheme = "http://"
		}
		q.Set("endpoint", scheme+o.Endpoint)
	}
	if o.Region != "" {
		q.Set("region", o.Region)
	}
	if o.PathStyle {
		q.Set("path-style", "1")
	}
	if o.LockDays > 0 {
		q.Set("lock-days", strconv.Itoa(o.LockDays))
	}
	s := "s3://" + o.Bucket
	if o.Prefix != "" {
		s += "/" + o.Prefix
	}
	if len(q) > 0 {
		s += "?" + strings.NewReplacer("%3A", ":", "%2F", "/").Replace(q.Encode())
	}
	return s
}

// GoString keeps the keys out of %#v too.
func (o Options) GoString() string { return fmt.Sprintf("s3.Options(%q)", o.String()) }

const urlHint = "write it as s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION"

// ParseURL reads s3://bucket/prefix with the parameters endpoint (an http or https URL without
// a path), region, path-style=1 and lock-days=N. Keys do not belong into a URL. Errors are of
// kind Usage.
func ParseURL(text string) (Options, error) {
	refuse := func(format string, args ...any) (Options, error) {
		return Options{}, lull.Errorf(lull.Usage, urlHint, "read URL of a repository: "+format, args...)
	}
	u, err := url.Parse(text)
	if err != nil { // the parser's error holds the URL, and that may hold a password
		return refuse("it is no URL")
	}
	if u.User != nil {
		return Options{}, lull.Errorf(lull.Usage, "give the keys in the config or the environment, and take them out of the URL",
			"read URL of a repository: there is a key in it")
	}
	q, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return refuse("what is after ? cannot be read")
	case u.Scheme != "s3":
		return refuse("%q is not s3", u.Scheme)
	case u.Host == "" || strings.Contains(u.Host, ":"):
		return refuse("%q is no bucket", u.Host)
	case u.Fragment != "":
		return refuse("there is a # in it")
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for _, key := range slices.Sorted(maps.Keys(q)) {
		if len(q[key]) > 1 {
			return refuse("%s is in it twice", key)
		}
		if what := o.set(key, q.Get(key)); what != "" {
			return refuse("%s", what)
		}
	}
	return o, nil
}

// set takes one parameter; what it returns is wrong with it.
func (o *Options) set(key, value string) string {
	var err error
	switch key {
	case "endpoint":
		return o.setEndpoint(value)
	case "region":
		o.Region = value
	case "path-style":
		o.PathStyle, err = strconv.ParseBool(value)
	case "lock-days":
		o.LockDays, err = strconv.Atoi(value)
		if o.LockDays < 0 || o.LockDays > 36500 {
			err = strconv.ErrRange
		}
	default:
		return fmt.Sprintf("parameter %q is not known", key)
	}
	if err != nil {
		return fmt.Sprintf("%s is %q", key, value)
	}
	return ""
}

func (o *Options) setEndpoint(value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return "endpoint is no http or https URL"
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "endpoint has more than a host in it"
	}
	o.Endpoint, o.Insecure = u.Host, u.Scheme == "http"
	return ""
}
