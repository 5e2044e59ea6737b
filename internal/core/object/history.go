package object

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/access/authz"
	"watertight/internal/access/objectkey"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Fields of a version's record that say who wrote it. The numbers are stored. They protect
// nothing: a program that does not know them keeps them (record.Ancillary).
const (
	fieldWriter        protowire.Number = 1024 // ARN, or name of a service; none for an anonymous writer
	fieldWriterAddress protowire.Number = 1025 // 4 or 16 bytes
	fieldWriterKey     protowire.Number = 1026 // access key id
)

// writer says who made a version, by a PUT, a copy, the completion of an upload, a POST
// form, or a deletion that left a marker. Changes of tags, ACL or keys do not change it. Its
// members are bytes of the record and may share its memory, because reads do not need them.
type writer struct{ principal, address, key []byte }

// writerOf returns the caller of a request as a writer.
func writerOf(g authz.Grant) writer {
	c := g.Caller()
	p := c.Principal()
	name := p.Name
	if p.Kind != policy.Service {
		name = ""
		if !p.ARN.IsZero() {
			name = p.ARN.String()
		}
	}
	var w writer
	all := make([]byte, 0, len(name)+len(c.AccessKeyID())+16)
	all = append(all, name...)
	w.principal = all[:len(name):len(name)]
	if a := c.SourceIP().Unmap(); a.IsValid() {
		from := len(all)
		if a.Is4() {
			four := a.As4()
			all = append(all, four[:]...)
		} else {
			sixteen := a.As16()
			all = append(all, sixteen[:]...)
		}
		w.address = all[from:len(all):len(all)]
	}
	from := len(all)
	all = append(all, c.AccessKeyID()...)
	w.key = all[from:]
	return w
}

// serviceWriter returns the writer for versions that the server makes by itself or for its
// operator.
func serviceWriter(name string) writer { return writer{principal: []byte(name)} }

func (w *writer) append(r []byte) []byte {
	r = record.Bytes(r, fieldWriter, w.principal)
	r = record.Bytes(r, fieldWriterAddress, w.address)
	return record.Bytes(r, fieldWriterKey, w.key)
}

// take stores a field. It returns false if the field is another or its value is invalid.
func (w *writer) take(f *record.Fields) bool {
	switch f.Number {
	case fieldWriter:
		w.principal = f.Bytes
	case fieldWriterAddress:
		w.address = f.Bytes
	case fieldWriterKey:
		w.key = f.Bytes
	default:
		return false
	}
	return true
}

// Past is a version as its key's history shows it. Writer, Address and AccessKeyID are empty
// if the version is older than the recording of writers. An anonymous writer has an address
// only.
type Past struct {
	ID           string
	DeleteMarker bool      `json:",omitempty"`
	Modified     time.Time // microseconds
	Size         int64
	ETag         string `json:",omitempty"`
	Writer       string `json:",omitempty"` // ARN or service
	Address      string `json:",omitempty"`
	AccessKeyID  string `json:"AccessKeyId,omitempty"`
}

// HistoryInput asks for versions of one key. After is the id of the last version of the
// previous page, empty for the first page.
type HistoryInput struct {
	Bucket, Key, After string
	Max                int // 1 to 1000
}

// History returns a page of the versions and delete markers of a key, newest first, and
// whether more follow. Errors: NoSuchBucket, NoSuchKey for a key without versions,
// InvalidArgument.
func (o *Operator) History(ctx context.Context, in HistoryInput) (page []Past, more bool, err error) {
	if err := objectkey.Check(in.Key); err != nil {
		return nil, false, err
	}
	n := min(max(in.Max, 1), MaxPage)
	err = o.store.View(ctx, func(r kv.Reader) error {
		b, err := bucket.Read(r, in.Bucket)
		if err != nil {
			return err
		}
		k := slot{&b, in.Key}
		from := k.versions()
		end := record.After(from)
		if in.After != "" {
			last, err := k.byID(r, in.After)
			switch {
			case err != nil:
				return err
			case last != nil:
				from = append(k.version(last.seq), 0)
			case in.After == NullVersion: // removed since the previous page; its place is not known
				return noSuchVersion(in.Key, in.After)
			default:
				seq, _, _ := parseID(in.After) // byID has parsed it
				from = append(k.version(seq), 0)
			}
		}
		for p, err := range r.Scan(from, end) {
			if err != nil {
				return err
			}
			if more = len(page) == n; more {
				return nil
			}
			v, err := decodeVersion(p.Value)
			if err != nil {
				return err
			}
			page = append(page, v.past())
		}
		if len(page) == 0 && in.After == "" {
			return fault.New(fault.NoSuchKey, "There is no version of this key in bucket "+in.Bucket+".")
		}
		return nil
	})
	return page, more, err
}

func (v *version) past() Past {
	p := Past{
		ID: v.id(), DeleteMarker: v.deleteMarker, Modified: v.modified, Size: v.size,
		Writer: string(v.writer.principal), AccessKeyID: string(v.writer.key),
	}
	if !v.deleteMarker {
		p.ETag = v.etag.String()
	}
	if a, ok := netip.AddrFromSlice(v.writer.address); ok {
		p.Address = a.String()
	}
	return p
}
