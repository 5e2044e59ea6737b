package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"watertight/internal/fault"
)

// CacheKey is the key of an edge's cache.
type CacheKey struct {
	Plain   []byte
	Wrapped []byte // the same key under a key of the store's KMS, bound to the edge's credential
}

// maxCacheKey bounds the store's answer, in bytes.
const maxCacheKey = 64 << 10

// CacheKey asks the store for the key that is wrapped, or for a new one if wrapped is nil. on is
// the ARN of a key of the store's KMS. While the store can't be reached, it asks again until ctx
// ends. Errors: those of ctx, and a fault.Error if the store refuses.
func (s *Store) CacheKey(ctx context.Context, on string, wrapped []byte) (out CacheKey, err error) {
	query := url.Values{"key": {on}}
	if wrapped != nil {
		query.Set("wrapped", base64.RawURLEncoding.EncodeToString(wrapped))
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		out, err = s.cacheKey(ctx, query)
		if _, refused := errors.AsType[*fault.Error](err); err == nil || refused {
			return out, err
		}
		if ctx.Err() != nil {
			return CacheKey{}, ctx.Err()
		}
		if wait == firstWait {
			s.options.Logger.Warn("the edge waits for the key of its cache; without it, nothing is served", "err", err)
		}
		if err := pause(ctx, wait); err != nil {
			return CacheKey{}, err
		}
	}
}

// cacheKey asks once. A fault.Error means that the store refuses.
func (s *Store) cacheKey(ctx context.Context, query url.Values) (out CacheKey, err error) {
	res, err := s.ask(ctx, CacheKeyPath, query)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxCacheKey))
	if err != nil {
		return out, err
	}
	if res.StatusCode == http.StatusOK {
		return out, json.Unmarshal(b, &out)
	}
	code := member(string(b), "Code")
	if res.StatusCode >= 500 || code == "" {
		return out, fmt.Errorf("remote: the store answers %d", res.StatusCode)
	}
	return out, fault.New(fault.Code(code), member(string(b), "Message"))
}

// member returns a member of an error document.
func member(document, name string) string {
	_, rest, _ := strings.Cut(document, "<"+name+">")
	value, _, found := strings.Cut(rest, "</"+name+">")
	if !found {
		return ""
	}
	return value
}

// pause waits. Error: that of ctx, if it ends before.
func pause(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
