package rest

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
)

// parse makes a request as the server would see it.
func parse(t *testing.T, method, target string, header http.Header) (*protocol.Request, error) {
	t.Helper()
	hr := httptest.NewRequest(method, "http://example.com/", nil)
	hr.RequestURI = target
	for k, v := range header {
		hr.Header[k] = v
	}
	return read(hr)
}

// read reads a request to S3.
func read(hr *http.Request) (*protocol.Request, error) {
	r, err := protocol.Parse(hr, protocol.Options{Domains: []string{"s3.example.com"}}, protocol.NewRequestID(),
		time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	return r, new(service).Read(r)
}

// routing returns the dialect of operations without members.
func routing(routes ...Route) (*service, error) {
	var ops []dialect.Operation
	for _, r := range routes {
		ops = append(ops, dialect.Operation{
			Name: r.String(), Route: r, In: reflect.TypeFor[struct{}](), Out: reflect.TypeFor[struct{}](),
		})
	}
	return newService(ops, false)
}

func testRouter(t *testing.T) (*service, []Route) {
	t.Helper()
	routes := []Route{
		At("GET /"), At("PUT /{Bucket}"), At("GET /{Bucket}"), At("GET /{Bucket}?list-type=2"),
		At("GET /{Bucket}?location"),
		At("POST /{Bucket}?delete"), At("PUT /{Bucket}/{Key+}"), At("GET /{Bucket}/{Key+}"),
		At("HEAD /{Bucket}/{Key+}"),
		At("DELETE /{Bucket}/{Key+}"), At("PUT /{Bucket}/{Key+}?partNumber&uploadId"),
		At("PUT /{Bucket}/{Key+}?partNumber&uploadId").WithHeader("x-amz-copy-source"),
	}
	r, err := routing(routes...)
	if err != nil {
		t.Fatal(err)
	}
	return r, routes
}

func TestMatch(t *testing.T) {
	router, routes := testRouter(t)
	source := http.Header{"X-Amz-Copy-Source": {"/b/k"}}
	for _, c := range []struct {
		method, target string
		header         http.Header
		want           string // a pattern, or a code
	}{
		{"GET", "/", nil, "GET /"},
		{"GET", "/b", nil, "GET /{Bucket}"},
		{"GET", "/b/", nil, "GET /{Bucket}"},
		{"GET", "/b?prefix=x&marker=y&x-id=ListObjects", nil, "GET /{Bucket}"},
		{"GET", "/b?list-type=2&prefix=x", nil, "GET /{Bucket}?list-type=2"},
		{"GET", "/b?list-type=3", nil, "InvalidArgument"},
		{"GET", "/b?location", nil, "GET /{Bucket}?location"},
		{"GET", "/b?location=", nil, "GET /{Bucket}?location"},
		{"PUT", "/b/k?x-id=PutObject", nil, "PUT /{Bucket}/{Key+}"},
		{"GET", "/b/k?versionId=v", nil, "GET /{Bucket}/{Key+}"},
		{"GET", "/b/k?response-content-type=x", nil, "GET /{Bucket}/{Key+}"},
		{"PUT", "/b/k?partNumber=1&uploadId=u", nil, "PUT /{Bucket}/{Key+}?partNumber&uploadId"},
		{"PUT", "/b/k?partNumber=1&uploadId=u", source, "PUT /{Bucket}/{Key+}?partNumber&uploadId"},
		{"PUT", "/b/k?partNumber=1", nil, "InvalidArgument"},
		{"PUT", "/b/k", source, "InvalidArgument"},
		{"GET", "/b/k", source, "InvalidArgument"},
		{"DELETE", "/b", source, "InvalidArgument"},
		{"PUT", "/b/k?acl", nil, "NotImplemented"},
		{"PUT", "/b/k?ACL", nil, "PUT /{Bucket}/{Key+}"}, // names are case-sensitive
		{"GET", "/b?location&acl", nil, "NotImplemented"},
		{"POST", "/b", nil, "MethodNotAllowed"},
		{"PATCH", "/b/k", nil, "MethodNotAllowed"},
		{"PATCH", "/b/k?acl", nil, "MethodNotAllowed"},
		{"GET", "/b?prefix=a&prefix=b", nil, "InvalidArgument"},
		{"GET", "/b/k?versionId=a&versionId=b", nil, "InvalidArgument"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			r, err := parse(t, c.method, c.target, c.header)
			if err != nil {
				t.Errorf("%s %s: %v", c.method, c.target, err)
				return
			}
			i, err := router.Match(r)
			got := ""
			if err != nil {
				got = string(fault.From(err).Code)
			} else {
				got = routes[i].String()
			}
			if got != c.want {
				t.Errorf("%s %s: %s, want %s", c.method, c.target, got, c.want)
			}
		})
	}
}

// TestAllow: MethodNotAllowed names the methods of the target.
func TestAllow(t *testing.T) {
	router, err := routing(
		At("GET /"), At("GET /{Bucket}"), At("PUT /{Bucket}"), At("DELETE /{Bucket}"), At("GET /{Bucket}?acl"),
		At("GET /{Bucket}/{Key+}"), At("PUT /{Bucket}/{Key+}"),
		At("PUT /{Bucket}/{Key+}").WithHeader("x-amz-copy-source"),
		At("PUT /{Bucket}/{Key+}?partNumber&uploadId"), At("GET /{Bucket}/{Key+}?uploadId"),
		At("DELETE /{Bucket}/{Key+}?uploadId"), At("POST /{Bucket}/{Key+}?uploadId"),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, target, want string }{
		{"POST", "/", "GET"},
		{"PATCH", "/b", "DELETE, GET, PUT"},
		{"POST", "/b", "DELETE, GET, PUT"},
		{"PATCH", "/b?acl", "GET"},
		{"HEAD", "/b?acl", "GET"},
		{"DELETE", "/b?acl", "GET"},
		{"HEAD", "/b/k?uploadId=u", "DELETE, POST, GET"},
		{"DELETE", "/b/k", "GET, PUT"},
		{"PUT", "/b/k?uploadId=u", "DELETE, POST, GET"}, // as S3 was seen to answer
		{"PATCH", "/b/k?uploadId=u&partNumber=1", "PUT"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			r, err := parse(t, c.method, c.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = router.Match(r)
			f := fault.From(err)
			if f == nil || f.Code != fault.MethodNotAllowed || f.Headers["Allow"] != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestExtensions: this server's own header selects the operation that has it, and is never ignored by
// another one.
func TestExtensions(t *testing.T) {
	router, err := routing(
		At("POST /{Bucket}").Form(), At("POST /{Bucket}").WithHeader("x-watertight-go").Extension("x-watertight-far"),
		At("POST /{Bucket}?delete"), At("GET /{Bucket}"), At("PUT /{Bucket}"), At("GET /"),
	)
	if err != nil {
		t.Fatal(err)
	}
	there := []string{""}
	for _, c := range []struct {
		request, headers string
		want             int // -1 for NotImplemented
	}{
		{"POST /b", "", 0}, {"POST /b", "Go", 1}, {"POST /b", "Go Far", 1}, {"POST /b", "Far", -1},
		{"POST /b", "Go Other", -1}, {"POST /b?delete", "Go", -1}, {"POST /b?delete", "", 2}, {"GET /b", "Go", -1},
		{"PUT /b", "Far", -1}, {"GET /", "Go", -1}, {"POST /b/k", "Go", -1},
		{"POST /b?x-watertight-far=1", "Go", -1}, {"GET /b?X-Watertight-Go=1", "", -1},
	} {
		t.Run(c.request+" "+c.headers, func(t *testing.T) {
			header := http.Header{"Content-Type": {"multipart/form-data"}}
			for name := range strings.FieldsSeq(c.headers) {
				header["X-Watertight-"+name] = there
			}
			method, target, _ := strings.Cut(c.request, " ")
			r, err := parse(t, method, target, header)
			if err != nil {
				t.Fatal(err)
			}
			i, err := router.Match(r)
			if c.want < 0 && !fault.Is(err, fault.NotImplemented) || c.want >= 0 && (err != nil || i != c.want) {
				t.Errorf("%d %v, want %d", i, err, c.want)
			}
		})
	}
}

// TestSubresourcesNeverFallThrough: a parameter or header that selects another operation
// is refused if no route names it, with every method and at every level.
func TestSubresourcesNeverFallThrough(t *testing.T) {
	router, _ := testRouter(t)
	told := map[string]string{
		"GET /b/k?uploads": "InvalidRequest", "GET /b/k?versions": "InvalidRequest",
		"PUT /b/k?partNumber": "InvalidArgument",
	}
	names := strings.Fields(`abac accelerate acl analytics annotation attributes cors encryption intelligent-tiering inventory legal-hold lifecycle
		logging metadataConfiguration metadataTable metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock renameObject
		replication requestPayment restore retention select session tagging torrent uploads versioning versions website uploadId partNumber`)
	for _, name := range names {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
			for _, path := range []string{"/b", "/b/k", "/"} {
				t.Run(path, func(t *testing.T) {
					r, err := parse(t, method, path+"?"+name+"=v&prefix=x", nil)
					if err != nil {
						t.Fatal(err)
					}
					code := cmp.Or(told[method+" "+path+"?"+name], "NotImplemented")
					if _, err := router.Match(r); !fault.Is(err, fault.Code(code)) {
						t.Errorf("%s %s?%s: %v, want %s", method, path, name, err, code)
					}
				})
			}
		}
	}
}

func TestTiesAreRefused(t *testing.T) {
	for _, pair := range [][2]string{
		{"GET /{Bucket}", "GET /{Bucket}"},
		{"GET /{Bucket}?acl", "GET /{Bucket}?acl"},
		{"GET /{Bucket}?list-type", "GET /{Bucket}?list-type=2"},
		{"GET /{Bucket}?prefix", "GET /{Bucket}?marker"},
	} {
		t.Run(pair[0]+" "+pair[1], func(t *testing.T) {
			if _, err := routing(At(pair[0]), At(pair[1])); err == nil {
				t.Errorf("%q was accepted", pair)
			}
		})
	}
	if _, err := routing(At("GET /{Bucket}?acl"), At("GET /{Bucket}?cors"), At("PUT /{Bucket}?acl"),
		At("GET /{Bucket}/{Key+}?acl")); err != nil {
		t.Error(err)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	router, _ := testRouter(t)
	r, err := parse(t, "GET", "/bucket/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := router.Match(r); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("matching allocates %v times", n)
	}
}
