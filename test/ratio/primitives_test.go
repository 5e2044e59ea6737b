package ratio

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/gateway/sigv4"
)

// primitives is a handler that does what no server with these promises can leave out, and nothing else: it verifies the
// signature and the hash of the payload, encrypts an object under a key of its own, writes a durable log entry that no
// other key can read, and writes an event. It has no policies, no index on the disk, no transactions and no formats, so
// what it costs is a bound for what a server can reach on this machine, beside the bare handler's.
type primitives struct {
	root cipher.AEAD
	log  *groupLog

	mu      sync.RWMutex
	key     sigv4.Key
	objects map[string]*stored
	sorted  []string // the paths of the objects, or nil if they changed
}

// stored is an object in memory. Its key and bytes are sealed.
type stored struct {
	wrapped, sealed []byte
	etag, modified  string
	size            int
}

func newPrimitives(tb testing.TB, dir string) *primitives {
	p := &primitives{root: newGCM(tb, random(32)), objects: map[string]*stored{}}
	p.log = newGroupLog(tb, filepath.Join(dir, "primitives.log"), newGCM(tb, random(32)))
	return p
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func newGCM(tb testing.TB, key []byte) cipher.AEAD {
	g, err := gcm(key)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// ServeHTTP serves requests like the server's; a POST gives the secret that signs them.
func (p *primitives) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		secret, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.key = sigv4.DeriveKey(string(secret), time.Now().UTC().Format("20060102"), "us-east-1", "s3")
		p.mu.Unlock()
		return
	}
	if err := p.serve(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (p *primitives) serve(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	target := sigv4.Target{Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Service: "s3", Region: "us-east-1"}
	claim, err := sigv4.Parse(r, target, now)
	if err != nil {
		return err
	}
	p.mu.RLock()
	key, o := p.key, p.objects[r.URL.Path]
	p.mu.RUnlock()
	if err := claim.Verify(key); err != nil {
		return err
	}
	h := w.Header()
	h["X-Amz-Request-Id"] = []string{strings.ToUpper(hex.EncodeToString(random(8)))}
	event := p.event(r, claim, now)
	switch {
	case r.Method == http.MethodPut:
		return p.put(h, r, event, now)
	case r.Method == http.MethodDelete:
		p.set(r.URL.Path, nil)
		w.WriteHeader(http.StatusNoContent)
		return p.log.write(true, []byte(r.URL.Path), event)
	case r.URL.RawQuery != "":
		w.Write(p.page(r.URL.Query().Get("prefix"), r.URL.Path))
		return p.log.write(false, event)
	}
	return p.get(w, r, o, event)
}

// event says who did what, in as many bytes as a short event of an audit log has.
func (p *primitives) event(r *http.Request, c *sigv4.Claim, now time.Time) []byte {
	b := make([]byte, 0, 512)
	b = now.AppendFormat(append(b, `{"eventVersion":"1.11","eventTime":"`...), time.RFC3339)
	for _, s := range [...]string{r.Method, r.URL.Path, r.RemoteAddr, r.UserAgent(), c.AccessKeyID, r.Host} {
		b = strconv.AppendQuote(append(b, `","field":`...), s)
	}
	return append(b, '}')
}

func (p *primitives) put(h http.Header, r *http.Request, event []byte, now time.Time) error {
	body := bytes.NewBuffer(make([]byte, 0, r.ContentLength+bytes.MinRead))
	if _, err := body.ReadFrom(r.Body); err != nil {
		return err
	}
	if sum := sha256.Sum256(body.Bytes()); hex.EncodeToString(sum[:]) != r.Header.Get("X-Amz-Content-Sha256") {
		return os.ErrInvalid
	}
	sum, key := md5.Sum(body.Bytes()), random(32)
	data, err := gcm(key)
	if err != nil {
		return err
	}
	o := &stored{
		wrapped: p.root.Seal(nil, nil, key, []byte(r.URL.Path)), sealed: data.Seal(nil, nil, body.Bytes(), nil),
		etag: `"` + hex.EncodeToString(sum[:]) + `"`, modified: now.UTC().Format(http.TimeFormat), size: body.Len(),
	}
	if err := p.log.write(true, []byte(r.URL.Path), o.wrapped, []byte(o.etag+o.modified), o.sealed, event); err != nil {
		return err
	}
	p.set(r.URL.Path, o)
	h["Etag"], h["X-Amz-Server-Side-Encryption"] = []string{o.etag}, []string{"AES256"}
	return nil
}

func (p *primitives) get(w http.ResponseWriter, r *http.Request, o *stored, event []byte) error {
	if o == nil {
		return os.ErrNotExist
	}
	h := w.Header()
	h["Etag"], h["X-Amz-Server-Side-Encryption"] = []string{o.etag}, []string{"AES256"}
	h["Last-Modified"], h["Accept-Ranges"] = []string{o.modified}, []string{"bytes"}
	h["Content-Type"], h["Content-Length"] = []string{"binary/octet-stream"}, []string{strconv.Itoa(o.size)}
	if err := p.log.write(false, event); err != nil || r.Method == http.MethodHead {
		return err
	}
	key, err := p.root.Open(nil, nil, o.wrapped, []byte(r.URL.Path))
	if err != nil {
		return err
	}
	data, err := gcm(key)
	if err != nil {
		return err
	}
	plain, err := data.Open(nil, nil, o.sealed, nil)
	if err != nil {
		return err
	}
	w.Write(plain)
	return nil
}

// set puts an object, or removes it if o is nil.
func (p *primitives) set(path string, o *stored) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sorted = nil
	if o == nil {
		delete(p.objects, path)
		return
	}
	p.objects[path] = o
}

// page is a page of the objects under a prefix.
func (p *primitives) page(prefix, bucket string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sorted == nil {
		p.sorted = slices.Sorted(maps.Keys(p.objects))
	}
	n, _ := slices.BinarySearch(p.sorted, bucket+"/"+prefix)
	b := make([]byte, 0, 300<<10)
	for _, path := range p.sorted[n:min(len(p.sorted), n+1000)] {
		o := p.objects[path]
		b = appendText(append(b, "<Contents><Key>"...), path[len(bucket)+1:])
		b = append(append(b, "</Key><LastModified>"...), o.modified...)
		b = appendText(append(b, "</LastModified><ETag>"...), o.etag)
		b = strconv.AppendInt(append(b, "</ETag><Size>"...), int64(o.size), 10)
		b = append(b, "</Size><StorageClass>STANDARD</StorageClass></Contents>"...)
	}
	return b
}

// appendText appends s, escaped for XML as far as the test's keys need it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '<', '>', '&', '\'':
			b = append(b, '?')
		case '"':
			b = append(b, "&quot;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// groupLog is a log in one file, written ahead of its end, with as few syncs as its writers allow.
type groupLog struct {
	mu      sync.Mutex
	wake    sync.Cond
	pending []byte
	waiting []chan error
	root    cipher.AEAD
	file    *os.File
	closed  bool
}

const (
	logRoom   = 1 << 30   // of the file, so that a write does not change its size
	lazyBytes = 256 << 10 // entries that nobody waits for are written at this size
)

func newGroupLog(tb testing.TB, path string, root cipher.AEAD) *groupLog {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, logRoom); err != nil {
		tb.Fatal(err)
	}
	l := &groupLog{root: root, file: f}
	l.wake.L = &l.mu
	ended := make(chan struct{})
	go func() { defer close(ended); l.run() }()
	tb.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		l.wake.Signal()
		l.mu.Unlock()
		<-ended
		f.Close()
	})
	return l
}

// write appends an entry of parts, and waits until it is durable if the caller must know.
func (l *groupLog) write(durable bool, parts ...[]byte) error {
	l.mu.Lock()
	for _, p := range parts {
		l.pending = append(l.pending, p...)
	}
	if !durable {
		if len(l.pending) >= lazyBytes {
			l.wake.Signal()
		}
		l.mu.Unlock()
		return nil
	}
	done := make(chan error, 1)
	l.waiting = append(l.waiting, done)
	l.wake.Signal()
	l.mu.Unlock()
	return <-done
}

func (l *groupLog) run() {
	for at := int64(0); ; {
		l.mu.Lock()
		for len(l.waiting) == 0 && len(l.pending) < lazyBytes && !l.closed {
			l.wake.Wait()
		}
		group, waiting := l.pending, l.waiting
		l.pending, l.waiting = make([]byte, 0, cap(group)), nil
		ended := l.closed && len(group) == 0
		l.mu.Unlock()
		if ended {
			return
		}
		sealed := l.root.Seal(nil, nil, group, nil)
		if at+int64(len(sealed)) > logRoom {
			at = 0
		}
		_, err := l.file.WriteAt(sealed, at)
		at += int64(len(sealed))
		if err == nil {
			err = unix.Fdatasync(int(l.file.Fd()))
		}
		for _, w := range waiting {
			w <- err
		}
	}
}
