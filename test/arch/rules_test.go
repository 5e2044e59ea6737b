package arch

import "strings"

// The rules, as data. Changing one needs a page in docs/decisions first.

const module = "watertight/"

// layers says which of our packages a room may import. A prefix covers everything
// below it. Every room belongs to the longest prefix that fits.
var layers = map[string][]string{
	"internal/fault":             {},
	"internal/limit":             {"internal/fault"},
	"internal/strictjson":        {},
	"internal/mac":               {},
	"internal/access/arn":        {},
	"internal/access/action":     {},
	"internal/access/objectkey":  {"internal/fault"},
	"internal/access/policy":     {"internal/access/action", "internal/access/arn"},
	"internal/access/credential": {"internal/access/policy"},
	"internal/access/authz": {
		"internal/access/action", "internal/access/arn", "internal/access/policy", "internal/fault",
	},
	"internal/storage/seal":              {"internal/mac"},
	"internal/storage/digest":            {},
	"internal/storage/digest/lanes":      {},
	"internal/storage/folder/foldertest": {"internal/storage/folder"}, // tests
	"internal/storage/space":             {"internal/storage/folder"},
	"internal/storage/rootkey": {
		"internal/storage/rootkey", "internal/storage/folder", "internal/storage/seal", "internal/outbound",
		"internal/fault",
	},
	"internal/storage/anchor": {
		"internal/storage/folder", "internal/storage/seal", "internal/outbound",
	},
	"internal/storage/kv": {"internal/storage/kv"}, // the contract, and what holds a store to it
	"internal/storage/kv/embedded": {
		"internal/storage/kv", "internal/storage/folder", "internal/storage/seal", "internal/storage/space",
		"internal/limit",
		"internal/fault",
	},
	"internal/core/page":            {"internal/fault"},
	"internal/core/tag":             {"internal/core/page", "internal/fault"},
	"internal/core/oidc":            {"internal/strictjson", "internal/limit", "internal/fault"},
	"internal/core/change":          {"internal/access", "internal/storage/kv", "internal/fault"},
	"internal/core/change/coretest": {"internal/access", "internal/storage"}, // tests
	"internal/core/recent":          {},
	"internal/core/known":           {"internal/limit", "internal/storage/kv"},
	"internal/core/distribution":    {"internal/fault"},
	"internal/core/cdn":             core("change", "distribution", "tag"),
	"internal/core/alarm":           {"internal/limit"},
	"internal/core/instant":         core("change"),
	"internal/core/kms": append(core("change", "page", "principal", "recent", "tag"),
		"internal/storage/seal"),
	"internal/core/keys": {"internal/access", "internal/storage/seal", "internal/fault"},
	"internal/core/payload": {
		"internal/core/change", "internal/core/keys", "internal/access", "internal/storage", "internal/limit",
		"internal/fault",
	},
	"internal/core/acl":       core("change/record"),
	"internal/core/principal": core(),
	"internal/core/lifecycle": {"internal/core/tag", "internal/fault"},
	"internal/core/bucket":    core("acl", "change", "known", "lifecycle", "mfa", "page", "principal", "tag"),
	"internal/core/object": append(
		core("acl", "alarm", "bucket", "change", "instant", "keys", "kms", "lifecycle", "mfa", "page", "payload",
			"tag"),
		"internal/storage", "internal/strictjson"),
	"internal/core/identity": core("change", "known", "page", "principal", "recent", "tag"),
	"internal/core/mfa":      core("change", "identity", "page", "tag"),
	"internal/core/session":  core("change", "identity", "known", "oidc", "tag"),
	"internal/core/simulate": core("identity", "page"),
	"internal/gateway": {
		"internal/gateway", "internal/access", "internal/storage", "internal/strictjson", "internal/limit",
		"internal/fault",
	},
	"internal/gateway/sigv4":  {"internal/fault", "internal/mac"},
	"internal/outbound":       {"internal/fault"},
	"internal/edge":           {"internal/edge", "internal/core/distribution", "internal/fault"},
	"internal/edge/accesslog": {"internal/core/distribution"},
	"internal/edge/signed":    {"internal/strictjson", "internal/fault"},
	"internal/edge/remote": {
		"internal/edge/origin", "internal/core/distribution", "internal/outbound", "internal/fault",
	},
	"internal/edge/origin": {"internal/core/distribution", "internal/outbound", "internal/fault"},
	"internal/api": {
		"internal/api", "internal/gateway", "internal/core", "internal/access", "internal/storage",
		"internal/strictjson", "internal/limit", "internal/fault",
	},
	"internal/edge/cache": {
		"internal/edge/cache", "internal/core/distribution", "internal/storage/folder", "internal/storage/seal",
		"internal/limit",
	},
	"internal/edge/cache/fresh": {},
	"internal/certs":            {"internal/storage/folder", "internal/storage/seal"},
	"internal/rotation": {
		"internal/core/change", "internal/storage/kv", "internal/storage/rootkey", "internal/storage/seal",
		"internal/fault",
	},
	"internal/operator": {
		"internal/core", "internal/gateway/audit", "internal/gateway/protocol", "internal/access", "internal/rotation",
		"internal/storage/rootkey", "internal/fault",
	},
	"internal/datadir": {"internal/core", "internal/gateway/audit", "internal/storage", "internal/fault"},
	"internal/server":  {"internal"},
	"cmd": {
		"internal/server", "internal/certs", "internal/operator", "internal/datadir", "internal/rotation",
		"internal/storage/rootkey",
	},
	"test": {"internal", "test"},
}

// core lists what a room of core may import: some rooms beside it, decisions, and
// the store.
func core(rooms ...string) []string {
	all := []string{"internal/access", "internal/storage/kv", "internal/limit", "internal/fault"}
	for _, room := range rooms {
		all = append(all, "internal/core/"+room)
	}
	return all
}

// banned are packages that only some rooms may import.
var banned = []struct {
	path    string // a prefix
	allowed []string
	reason  string
}{
	{
		"net/http",
		[]string{
			"internal/gateway", "internal/api/s3/table.go", "internal/server", "internal/operator", "internal/outbound",
			"internal/edge", "test", "cmd",
		},
		"server-side HTTP types stay in the gateway, the operator's socket and the server",
	},
	{"encoding/xml", []string{"internal/gateway/dialect/xmldoc", "test"}, "XML is the wire's"},
	{"math/rand", nil, "randomness is crypto/rand"},
	{
		"github.com/cockroachdb/pebble", []string{"internal/storage/kv/embedded", "test/tamper"},
		"engines are the store's own: what they keep is sealed below them",
	},
	{
		module + "internal/storage/kv/embedded/internal", []string{"internal/storage/kv/embedded"},
		"engines are the store's own: what they keep is sealed below them",
	},
	{module + "internal/storage/kv/embedded", []string{
		"internal/storage/kv/embedded", "internal/datadir", "internal/server", "internal/core/change/coretest", "test",
	}, "the store is kv.Store to all but those who open it"},
	{
		module + "internal/core/payload/internal", []string{"internal/core/payload"},
		"blob engines see ciphertext only, through payload",
	},
	{"os/exec", []string{"test"}, "the server starts no programs"},
	{"unsafe", nil, "memory safety"},
	{"C", nil, "no cgo"},
}

// pure rooms import only the standard library and what layers says.
var pure = []string{
	"internal/access", "internal/storage/seal", "internal/gateway/sigv4", "internal/limit", "internal/strictjson",
	"internal/fault", "internal/mac", "internal/edge/signed",
}

// secondCipher is a package that only storage/seal may import as well: DSSE-KMS needs a second cipher, and
// the standard library exports none.
const secondCipher = "golang.org/x/crypto/chacha20poly1305"

// symbols are functions that only some places may use.
var symbols = []struct {
	pkg, name string // package's last element and function; or a method with pkg ""
	allowed   []string
	reason    string
}{
	{"time", "Now", []string{
		"internal/gateway/dispatch/serve.go",       // takes the request's one instant
		"internal/gateway/audit",                   // the writer's own clock
		"internal/server",                          // listeners, deadlines
		"internal/datadir/scrub.go",                // whether a key's material has expired
		"internal/datadir/restore.go",              // when a backup was restored
		"internal/datadir/anchor.go",               // when an anchor was written, and until when it is kept
		"internal/certs",                           // whether a certificate is good now
		"internal/operator/operator.go",            // takes a command's one instant
		"internal/core/change/coretest",            // tests
		"internal/storage/kv/embedded/pressure.go", // how long a write waits, and the engine for its answer
		"test",
	}, "time comes from the request's one instant"},
	{
		"authz", "NewCaller", []string{"internal/gateway/authn", "internal/core/change/coretest"},
		"only who identified a caller makes one",
	},
	{
		"", "IdentifyService", []string{
			"internal/gateway/dispatch/serve.go", "internal/gateway/authn", "internal/server/cdncache.go",
		},
		"only requests in process come from a service",
	},
	{
		"", "ServeInProcess", []string{"internal/server/inprocess.go", "internal/gateway/dispatch"},
		"only this process's edge sends requests without a connection",
	},
	{
		"authn", "Service", []string{
			"internal/server/inprocess.go", "internal/server/cdncache.go", "internal/server/edges.go",
			"internal/gateway/dispatch/inprocess.go",
		},
		"only this process's edge acts as a service",
	},
	{"policy", "Suppose", []string{"internal/core/simulate"}, "a request that is made has the context it has"},
	{"http", "Client", callers(), "calls out go through outbound"},
	{"http", "Transport", callers(), "calls out go through outbound"},
	{"http", "DefaultClient", callers(), "calls out go through outbound"},
	{"http", "DefaultTransport", callers(), "calls out go through outbound"},
	{"http", "Get", callers(), "calls out go through outbound"},
	{"http", "Post", callers(), "calls out go through outbound"},
	{"net", "Dialer", callers(), "calls out go through outbound"},
	{"net", "Dial", callers(), "calls out go through outbound"},
	{"tls", "Dial", callers(), "calls out go through outbound"},
	{
		"", "Update", []string{"internal/core/change", "internal/storage/kv", "internal/gateway/audit", "test"},
		"every change commits through core/change, with its audit event",
	},
	{"bucket", "VersionPrefix", versions(), "only core/object writes and deletes versions"},
	{"bucket", "VersionsOf", versions(), "only core/object writes and deletes versions"},
	{"bucket", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"cdn", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"identity", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"object", "Lifecycle", operators(), "it acts for no caller: only the server's own work may call it"},
	{"cdn", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"kms", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"session", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"simulate", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"object", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"payload", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"keys", "Operator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"", "NewOperator", operators(), "its methods ask for no grant: only the operator's commands may call them"},
	{"os", "Getenv", []string{"cmd", "test"}, "nothing reads a global; cmd hands the environment on"},
	{"os", "Exit", []string{"cmd/watertight/main.go", "test/bench"}, "only main ends the process"},
	{"log", "Fatal", nil, "only main ends the process"},
}

// methods may only be called in some files of a room.
var methods = []struct {
	room, name string
	allowed    []string
	reason     string
}{
	{
		"internal/core/object", "Delete", []string{"internal/core/object/door.go"},
		"records are deleted where what protects a version is judged",
	},
	{
		"internal/core/object", "Remove", []string{"internal/core/object/trash.go"},
		"bytes are removed after the commit that deleted their record",
	},
}

// versions may name the keys of the records of versions. core/bucket does for the
// check that a bucket to be deleted has none.
func versions() []string {
	return []string{"internal/core/object", "internal/core/bucket/record.go", "internal/core/bucket/store.go", "test"}
}

// operators may name the types of core that need no grant: the server passes them to
// the operator's commands, and handlers of requests cannot reach them.
func operators() []string {
	return []string{"internal/operator", "internal/server", "internal/datadir", "test"}
}

// callers may open connections: the guarded client, the operator's commands to
// their own socket, and tests.
func callers() []string {
	return []string{"internal/outbound", "internal/operator/client.go", "test"}
}

// globals may only hold sentinel errors and compile-time assertions.
func mayBeGlobal(name, value string) bool {
	return name == "_" || strings.HasPrefix(value, "errors.New(") || strings.HasPrefix(value, "fmt.Errorf(")
}

const (
	maxFunction = 70
	maxFile     = 500
)

// within reports whether a file lies at or under one of the places.
func within(file string, places []string) bool {
	for _, p := range places {
		if file == p || strings.HasPrefix(file, p+"/") || strings.HasSuffix(p, "/") && strings.HasPrefix(file, p) {
			return true
		}
	}
	return false
}
