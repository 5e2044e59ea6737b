package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pairFile is a certificate whose files are read again. Their content decides
// whether they changed, never their times: a renewed pair may have the old times.
type pairFile struct {
	cert, key string
	log       *slog.Logger
	judge     func(*x509.Certificate) // logs what is wrong with one that is taken

	loaded atomic.Pointer[pair]
	mu     sync.Mutex // held while the files are checked
	looked time.Time
	judged time.Time
	bad    [sha256.Size]byte // hash of the content that could not be used
	told   bool              // that was logged
}

type pair struct {
	certificate *tls.Certificate
	sum         [sha256.Size]byte
}

const (
	// lookAgain is how often handshakes check the files; without handshakes,
	// Certificates.Watch checks them every watchAgain.
	lookAgain  = time.Second
	watchAgain = 30 * time.Second
	judgeAgain = 24 * time.Hour
	// maxPEM bounds a file, in bytes.
	maxPEM = 1 << 20
)

// get returns the certificate for a handshake. At most one handshake at a time
// checks the files; the others use the current pair.
func (p *pairFile) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p.mu.TryLock() {
		if time.Since(p.looked) >= lookAgain {
			p.look(false) // problems are logged, and the old pair stays
		}
		p.mu.Unlock()
	}
	return p.loaded.Load().certificate, nil
}

// open reads the files for the first time.
func (p *pairFile) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.look(true)
}

// reload checks the files at once, and returns the result.
func (p *pairFile) reload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = false
	if p.look(true) == nil {
		p.log.Info("the TLS certificate is the one in its files", "ends", p.loaded.Load().certificate.Leaf.NotAfter)
	}
}

// watch checks the files without handshakes, and judges the pair once a day.
func (p *pairFile) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(false)
	if time.Since(p.judged) >= judgeAgain {
		p.judged = time.Now()
		p.judge(p.loaded.Load().certificate.Leaf)
	}
}

// look reads the files, and takes the pair in them if it is a new one that can be
// used. sure says that the files are not just being replaced; otherwise, a pair
// that can't be used is logged only if it is still there at the next look.
func (p *pairFile) look(sure bool) error {
	p.looked = time.Now()
	old := p.loaded.Load()
	cert, err := readPEM(p.cert)
	key, kerr := readPEM(p.key)
	if err = errors.Join(err, kerr); err != nil {
		return p.keep(sha256.Sum256([]byte(err.Error())), err, sure)
	}
	h := sha256.Sum256(cert)
	sum := sha256.Sum256(append(h[:], key...))
	if old != nil && sum == old.sum {
		p.bad, p.told = [sha256.Size]byte{}, false
		return nil
	}
	c, err := tls.X509KeyPair(cert, key)
	if err == nil && old != nil && ended(c.Leaf, p.looked) && !ended(old.certificate.Leaf, p.looked) {
		err = fmt.Errorf("it is not good now, but from %s to %s", c.Leaf.NotBefore.Format(time.RFC3339),
			c.Leaf.NotAfter.Format(time.RFC3339))
	}
	if err != nil {
		return p.keep(sum, err, sure)
	}
	p.loaded.Store(&pair{&c, sum})
	p.bad, p.told, p.judged = [sha256.Size]byte{}, false, p.looked
	if old != nil {
		p.log.Info("a new TLS certificate is served", "ends", c.Leaf.NotAfter)
	}
	p.judge(c.Leaf)
	return nil
}

func ended(leaf *x509.Certificate, now time.Time) bool {
	return now.After(leaf.NotAfter) || now.Before(leaf.NotBefore)
}

// keep keeps the current pair. It logs that once for each content of the files.
func (p *pairFile) keep(sum [sha256.Size]byte, err error, sure bool) error {
	old := p.loaded.Load()
	if old == nil {
		return err
	}
	again := sum == p.bad
	if !again {
		p.bad, p.told = sum, false
	}
	if (again || sure) && !p.told {
		p.told = true
		p.log.Warn("the new TLS certificate can't be used, and the old one stays", "ends",
			old.certificate.Leaf.NotAfter, "certificate", p.cert, "keyfile", p.key, "err", err)
	}
	return err
}

func readPEM(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, maxPEM))
}
