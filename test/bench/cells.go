package main

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"

	"watertight/test/bench/load"
)

// cell is an operation that is measured. Its variants are measured in the same turns.
type cell struct {
	name    string
	variant string // "" is without any headers, "SSE-KMS" with those of KMS
	size    int    // of an object
	prepare func(l *lane) error
	op      func(l *lane, c *load.Client, n int) error
	consume bool // operations use up what was prepared
	turns   int  // at most so many turns; 0 is no limit
	bulky   bool // writes so much that it is removed afterwards
}

const (
	bucket     = "bench"
	region     = "us-east-1"
	kms        = "SSE-KMS"
	pageKeys   = 1000
	partSize   = 8 << 20
	partsOf64  = 8
	deleteMost = 30000           // objects that are prepared for DELETE, at most
	deleteFor  = 4 * time.Second // and for so long, at most
)

// groups returns the cells, and the variants of each beside it. Sizes are those of the targets.
func groups() [][]cell {
	var puts, gets [][]cell
	for _, s := range []struct {
		name      string
		size      int
		turns     int
		keys      int
		kms, bulk bool
	}{
		{name: "1 KiB", size: 1 << 10, keys: 256, kms: true}, {name: "10 KiB", size: 10 << 10, keys: 256},
		{name: "128 KiB", size: 128 << 10, keys: 256, bulk: true}, {name: "1 MiB", size: 1 << 20, keys: 64, bulk: true},
		{name: "16 MiB", size: 16 << 20, turns: 2, keys: 8, kms: true, bulk: true},
	} {
		p := random(s.size)
		put := cell{name: "PUT " + s.name, size: s.size, turns: s.turns, bulky: s.bulk,
			op: func(l *lane, c *load.Client, n int) error { return l.put(c, n, p) }}
		get := cell{name: "GET " + s.name, size: s.size,
			prepare: func(l *lane) error { return l.fill(s.keys, time.Hour, p) },
			op: func(l *lane, c *load.Client, n int) error {
				_, err := c.Do(&load.Request{Method: "GET", Path: l.path(n % s.keys), Want: int64(s.size)})
				return err
			}}
		puts, gets = append(puts, variants(put, s.kms)), append(gets, variants(get, s.kms))
	}
	return append(append(puts, gets...), []cell{multipart()}, []cell{head()}, []cell{list()}, []cell{remove()})
}

func variants(c cell, kmsToo bool) []cell {
	if !kmsToo {
		return []cell{c}
	}
	k := c
	k.variant = kms
	return []cell{c, k}
}

// random returns a payload that nothing can compress.
func random(size int) *load.Payload {
	b := make([]byte, size)
	rand.Read(b)
	return load.NewPayload(b)
}

func head() cell {
	const keys = 256
	p := random(1 << 10)
	return cell{name: "HEAD", size: 1 << 10,
		prepare: func(l *lane) error { return l.fill(keys, time.Hour, p) },
		op: func(l *lane, c *load.Client, n int) error {
			_, err := c.Do(&load.Request{Method: "HEAD", Path: l.path(n % keys)})
			return err
		}}
}

func remove() cell {
	p := random(64)
	return cell{name: "DELETE", size: 64, consume: true,
		prepare: func(l *lane) error { return l.fill(deleteMost, deleteFor, p) },
		op: func(l *lane, c *load.Client, n int) error {
			_, err := c.Do(&load.Request{Method: "DELETE", Path: l.path(n)})
			return err
		}}
}

// list reads pages of 1,000. The floor answers with the bytes of the first server's page.
func list() cell {
	p := random(1)
	query := func(l *lane) string { return "list-type=2&prefix=" + escape(l.key("")) }
	return cell{name: "LIST 1,000", size: 1,
		prepare: func(l *lane) error {
			if l.server.Floor {
				return l.giveListing()
			}
			if err := l.fill(pageKeys, time.Hour, p); err != nil {
				return err
			}
			var page []byte
			_, err := l.clients[0].Do(&load.Request{Method: "GET", Path: "/" + bucket, Query: query(l), Keep: &page})
			if err == nil && bytes.Count(page, []byte("<Key>")) != pageKeys {
				err = fmt.Errorf("a page of %d keys, want %d", bytes.Count(page, []byte("<Key>")), pageKeys)
			}
			if *l.listing == nil {
				*l.listing = page
			}
			return err
		},
		op: func(l *lane, c *load.Client, _ int) error {
			_, err := c.Do(&load.Request{Method: "GET", Path: "/" + bucket, Query: query(l)})
			return err
		}}
}

// multipart uploads 64 MiB in eight parts, one after the other.
func multipart() cell {
	part := random(partSize)
	return cell{name: "multipart 64 MiB", size: partSize * partsOf64, turns: 1, bulky: true,
		op: func(l *lane, c *load.Client, n int) error { return l.upload(c, n, part) }}
}

func (l *lane) upload(c *load.Client, n int, part *load.Payload) error {
	var answer []byte
	_, err := c.Do(&load.Request{Method: "POST", Path: l.path(n), Query: "uploads=", Keep: &answer})
	if err != nil {
		return err
	}
	var made struct{ UploadId string }
	if err := xml.Unmarshal(answer, &made); err != nil {
		return err
	}
	type piece struct {
		PartNumber int
		ETag       string
	}
	done := struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []piece
	}{}
	for i := 1; i <= partsOf64; i++ {
		a, err := c.Do(&load.Request{Method: "PUT", Path: l.path(n), Payload: part,
			Query: fmt.Sprintf("partNumber=%d&uploadId=%s", i, escape(made.UploadId))})
		if err != nil {
			return err
		}
		done.Part = append(done.Part, piece{i, a.ETag})
	}
	document, err := xml.Marshal(done)
	if err != nil {
		return err
	}
	_, err = c.Do(&load.Request{Method: "POST", Path: l.path(n), Query: "uploadId=" + escape(made.UploadId),
		Payload: load.NewPayload(document)})
	return err
}

// put writes one object, with the headers of the lane's variant.
func (l *lane) put(c *load.Client, n int, p *load.Payload) error {
	r := load.Request{Method: "PUT", Path: l.path(n), Payload: p}
	if l.cell.variant == kms {
		r.Headers = l.headers
	}
	_, err := c.Do(&r)
	return err
}

// kmsHeaders ask for the account's own key of KMS, with a bucket key.
func kmsHeaders() []load.Header {
	return []load.Header{
		{Name: "x-amz-server-side-encryption", Value: "aws:kms"},
		{Name: "x-amz-server-side-encryption-bucket-key-enabled", Value: "true"},
	}
}

// fill puts n objects, or as many as a time allows.
func (l *lane) fill(n int, limit time.Duration, p *load.Payload) error {
	if l.server.Floor {
		l.filled = math.MaxInt
		return nil
	}
	_, next, err := load.Turn(l.clients, limit, 0, n, func(c *load.Client, i int) error { return l.put(c, i, p) })
	l.filled = next
	return err
}

// giveListing makes the floor answer listings with a page of the first server.
func (l *lane) giveListing() error {
	if *l.listing == nil {
		return nil
	}
	_, err := l.clients[0].Do(&load.Request{Method: "PUT", Path: listingPath, Payload: load.NewPayload(*l.listing)})
	return err
}

// escape escapes a value of a query in the canonical form of signatures.
func escape(s string) string {
	var b []byte
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if letter || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "%%%02X", c)
		}
	}
	return string(b)
}
