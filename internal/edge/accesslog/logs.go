package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"watertight/internal/core/distribution"
)

// File is a log file to deliver.
type File struct {
	Site *distribution.Site // configuration at the file's first request
	Name string             // the object's key
	Data []byte             // gzip

	lines uint64
}

// Options are what logs need.
type Options struct {
	// Deliver puts a file into its bucket. An error drops it.
	Deliver func(ctx context.Context, f File) error
	Now     func() time.Time
	Logger  *slog.Logger
}

const (
	fullFile = 1 << 20         // bytes of a file, compressed, at which it is delivered
	period   = 3 * time.Minute // greatest age of a file when it is delivered
	maxHeld  = 32 << 20        // bytes of all files that are written or wait
	perOpen  = 64 << 10        // what a file that is written takes at least: the compressor's tables
	again    = time.Hour       // how often a problem of one distribution is logged
)

// Logs collects entries in memory and delivers them as files. Entries that were not delivered
// when the process dies are lost. CloudFront, too, delivers logs on a best-effort basis.
type Logs struct {
	options Options

	mu      sync.Mutex
	open    map[string]*written // by the distribution's id
	waiting []File
	held    int64
	holders map[string]int64 // account → its part of held
	dropped uint64           // lines that were dropped for lack of room
	told    map[string]time.Time
	wake    chan struct{}
}

// written is a file that is being written.
type written struct {
	site    *distribution.Site
	began   time.Time
	data    bytes.Buffer
	zip     *gzip.Writer
	lines   uint64
	counted int64 // of Logs.held
}

// New returns empty logs.
func New(o Options) *Logs {
	return &Logs{
		options: o, open: map[string]*written{}, holders: map[string]int64{}, told: map[string]time.Time{},
		wake: make(chan struct{}, 1),
	}
}

// Dropped returns how many lines were dropped because the logs of all distributions took too
// much memory. Lines are dropped from the account whose logs take the most.
func (l *Logs) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Add adds an entry to its distribution's file.
func (l *Logs) Add(e Entry) {
	text := e.line()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.open[e.Site.ID]
	if w != nil && !sameHour(w.began, e.Began) {
		l.finish(w)
		w = nil
	}
	for l.held >= maxHeld {
		if !l.makeRoom(e.Site.Account) {
			l.dropped++
			return
		}
	}
	if w == nil {
		w = &written{site: e.Site, began: e.Began}
		w.zip = gzip.NewWriter(&w.data)
		w.zip.Write([]byte(header)) // into memory: it can't fail
		l.open[e.Site.ID] = w
	}
	w.zip.Write([]byte(text))
	w.lines++
	l.count(w)
	if w.data.Len() >= fullFile {
		l.finish(w)
	}
}

// makeRoom drops one file of the account that holds the most, so that no account can keep
// others from having logs. It drops the largest file that is being written, or else the newest
// file that waits. It returns false if that account is the one that needs the room, or if
// there is nothing to drop.
func (l *Logs) makeRoom(account string) bool {
	most := account
	for a, n := range l.holders {
		if n > l.holders[most] {
			most = a
		}
	}
	var largest *written
	for _, w := range l.open {
		if w.site.Account == most && (largest == nil || w.counted > largest.counted) {
			largest = w
		}
	}
	if most == account {
		return false
	}
	if largest != nil {
		delete(l.open, largest.site.ID)
		l.dropped += largest.lines
		l.hold(most, -largest.counted)
		return true
	}
	for i, f := range slices.Backward(l.waiting) {
		if f.Site.Account == most {
			l.waiting = slices.Delete(l.waiting, i, i+1)
			l.dropped += f.lines
			l.hold(most, -int64(len(f.Data)))
			return true
		}
	}
	return false
}

// hold adds n bytes, or removes them if n is negative, from what an account holds.
func (l *Logs) hold(account string, n int64) {
	l.held += n
	if l.holders[account] += n; l.holders[account] == 0 {
		delete(l.holders, account)
	}
}

// count updates how many bytes a file takes.
func (l *Logs) count(w *written) {
	n := int64(w.data.Len()) + perOpen
	l.hold(w.site.Account, n-w.counted)
	w.counted = n
}

// finish ends a file and queues it for delivery.
func (l *Logs) finish(w *written) {
	w.zip.Close()
	delete(l.open, w.site.ID)
	l.hold(w.site.Account, int64(w.data.Len())-w.counted)
	var unique [4]byte
	rand.Read(unique[:])
	l.waiting = append(l.waiting, File{
		Site: w.site, Data: w.data.Bytes(), lines: w.lines,
		Name: w.site.Config.Logging.Prefix + w.site.ID + "." + w.began.UTC().Format("2006-01-02-15") + "." +
			hex.EncodeToString(unique[:]) + ".gz",
	})
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// IsName reports whether a key is that of a file of a distribution's access log.
func IsName(site *distribution.Site, key string) bool {
	rest, ok := strings.CutPrefix(key, site.Config.Logging.Prefix+site.ID+".")
	return ok && regexp.MustCompile(`^\d{4}-\d\d-\d\d-\d\d\.[0-9a-f]{8}\.gz$`).MatchString(rest)
}

func sameHour(a, b time.Time) bool {
	return a.UTC().Truncate(time.Hour).Equal(b.UTC().Truncate(time.Hour))
}

// Run delivers files until ctx ends. Flush then delivers those that are left.
func (l *Logs) Run(ctx context.Context) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	ending := ctx.Done()
	ctx = context.WithoutCancel(ctx) // a delivery that began is finished
	for {
		select {
		case <-ending:
			return
		case <-tick.C:
			l.Flush(ctx)
		case <-l.wake:
			l.deliver(ctx)
		}
	}
}

// Flush delivers everything.
func (l *Logs) Flush(ctx context.Context) {
	l.mu.Lock()
	for _, w := range l.open {
		l.finish(w)
	}
	l.mu.Unlock()
	l.deliver(ctx)
}

// deliver delivers the files that wait.
func (l *Logs) deliver(ctx context.Context) {
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.mu.Unlock()
			return
		}
		f := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
		err := l.options.Deliver(ctx, f)
		l.mu.Lock()
		l.hold(f.Site.Account, -int64(len(f.Data)))
		now := l.options.Now()
		tell := err != nil && now.Sub(l.told[f.Site.ID]) >= again
		if tell {
			if len(l.told) > 1024 {
				clear(l.told)
			}
			l.told[f.Site.ID] = now
		}
		l.mu.Unlock()
		if tell {
			l.options.Logger.Warn("an access log could not be delivered, and is dropped; the next such warning about "+
				"this distribution comes in an hour at the earliest", "distribution", f.Site.ID, "bucket",
				f.Site.Config.Logging.Bucket, "err", err)
		}
	}
}
