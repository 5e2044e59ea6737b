package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// line is one row of the table: prepare once, then op as often as time allows.
type line struct {
	name    string
	prepare func(b *bench) error
	op      func(b *bench, n int) error
	most    int    // maximum number of operations; 0 means no limit
	beside  string // the line with which -pairs compares it
}

type bench struct {
	client  *client
	bare    *client
	srv     *child
	clients int
	each    time.Duration
}

const keysToRead = 256

func lines() []line {
	one := newPayload(1 << 10)
	all := []line{{name: "bare net/http, 1 KiB up", op: func(b *bench, _ int) error {
		return b.bare.do("PUT", "/bench/bare", nil, one, nil)
	}}}
	for _, s := range []struct {
		name string
		size int
		most int
	}{{"1 KiB", 1 << 10, 0}, {"10 KiB", 10 << 10, 0}, {"1 MiB", 1 << 20, 4000}, {"16 MiB", 16 << 20, 256}} {
		p := newPayload(s.size)
		prefix := "/bench/put-" + strings.ReplaceAll(s.name, " ", "")
		all = append(all, line{name: "PUT " + s.name, most: s.most, op: func(b *bench, n int) error {
			return b.client.do("PUT", fmt.Sprintf("%s/%d", prefix, n), nil, p, nil)
		}})
		get := strings.Replace(prefix, "put-", "get-", 1)
		keys := keysToRead
		if s.size > 1<<20 {
			keys = 8
		}
		all = append(all, line{name: "GET " + s.name, prepare: func(b *bench) error {
			return fill(b, get, keys, p)
		}, op: func(b *bench, n int) error {
			return b.client.do("GET", fmt.Sprintf("%s/%d", get, n%keys), nil, nil, p)
		}})
	}
	small := newPayload(1 << 10)
	all = append(all,
		line{name: "HEAD", prepare: func(b *bench) error { return fill(b, "/bench/head", keysToRead, small) },
			op: func(b *bench, n int) error {
				return b.client.do("HEAD", fmt.Sprintf("/bench/head/%d", n%keysToRead), nil, nil, nil)
			}},
		line{name: "LIST page of 1,000", prepare: func(b *bench) error { return fill(b, "/bench/list", 1000, small) },
			op: func(b *bench, _ int) error {
				return b.client.do("GET", "/bench", []string{"list-type=2", "prefix=list%2F"}, nil, nil)
			}},
		line{name: "DELETE", most: 40000, prepare: func(b *bench) error {
			return fill(b, "/bench/delete", 40000,
				newPayload(64))
		},
			op: func(b *bench, n int) error {
				return b.client.do("DELETE", fmt.Sprintf("/bench/delete/%d", n), nil, nil, nil)
			}},
	)
	return append(all, kmsLines()...)
}

// putKMS puts an object under the account's own key of KMS, with a bucket key.
func putKMS(b *bench, prefix string, n int, p *payload) error {
	return b.client.send("PUT", fmt.Sprintf("%s/%d", prefix, n), nil, map[string]string{
		"X-Amz-Server-Side-Encryption":                    "aws:kms",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true",
	}, p, nil)
}

// kmsLines returns the lines about objects under a key of KMS.
func kmsLines() (all []line) {
	for _, s := range []struct {
		name       string
		size, most int
	}{{"1 KiB", 1 << 10, 0}, {"16 MiB", 16 << 20, 256}} {
		p := newPayload(s.size)
		prefix := "/bench/kms-" + strings.ReplaceAll(s.name, " ", "")
		all = append(all, line{
			name: "PUT " + s.name + ", SSE-KMS", beside: "PUT " + s.name, most: s.most,
			op: func(b *bench, n int) error { return putKMS(b, prefix, n, p) },
		})
		keys := keysToRead
		if s.size > 1<<20 {
			keys = 8
		}
		all = append(all, line{
			name: "GET " + s.name + ", SSE-KMS", beside: "GET " + s.name,
			prepare: func(b *bench) error {
				_, err := b.drive(keys, time.Hour, func(n int) error { return putKMS(b, prefix+"-get", n, p) })
				return err
			},
			op: func(b *bench, n int) error {
				return b.client.do("GET", fmt.Sprintf("%s-get/%d", prefix, n%keys), nil, nil, p)
			},
		})
	}
	return all
}

// fill puts n objects under a prefix.
func fill(b *bench, prefix string, n int, p *payload) error {
	_, err := b.drive(n, time.Hour, func(i int) error {
		return b.client.do("PUT", fmt.Sprintf("%s/%d", prefix, i), nil, p, nil)
	})
	return err
}

// line runs one line and prints its row.
func (b *bench) line(l line, only string) error {
	if !strings.Contains(l.name, only) {
		return nil
	}
	if err := b.ready(l); err != nil {
		return err
	}
	before, err := b.srv.stats()
	if err != nil {
		return err
	}
	most := l.most
	if most == 0 {
		most = 1 << 30
	}
	start := time.Now()
	took, err := b.drive(most, b.each, func(n int) error { return l.op(b, n) })
	wall := time.Since(start)
	if err != nil {
		return err
	}
	after, err := b.srv.stats()
	if err != nil {
		return err
	}
	n := float64(len(took))
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*(n-1))].Seconds() * 1e3 }
	fmt.Printf("| %s | %.0f | %.2f | %.2f | %.0f | %.2f |\n", l.name, n/wall.Seconds(), at(.5), at(.99),
		float64((after.CPU-before.CPU).Microseconds())/n, float64(after.Syncs-before.Syncs)/n)
	return nil
}

// ready prepares a line, and waits until the server has done the work that the preparation
// caused: after 40,000 writes the engine compacts for seconds, which the line must not
// measure.
func (b *bench) ready(l line) error {
	if l.prepare == nil {
		return nil
	}
	if err := l.prepare(b); err != nil {
		return err
	}
	const (
		pause  = 250 * time.Millisecond
		idle   = pause / 50 // CPU time of an idle server
		atMost = time.Minute
	)
	last, err := b.srv.stats()
	for end := time.Now().Add(atMost); err == nil && time.Now().Before(end); {
		time.Sleep(pause)
		before := last.CPU
		if last, err = b.srv.stats(); last.CPU-before <= idle {
			break
		}
	}
	return err
}

// drive runs op from all clients until most operations are done or the time is up, and
// returns the duration of each.
func (b *bench) drive(most int, limit time.Duration, op func(int) error) ([]time.Duration, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	for range b.clients {
		wg.Go(func() {
			var mine []time.Duration
			var err error
			for err == nil && time.Now().Before(end) {
				n := int(next.Add(1)) - 1
				if n >= most {
					break
				}
				t := time.Now()
				err = op(n)
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	return all, failed
}
