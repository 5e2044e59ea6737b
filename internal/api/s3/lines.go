package s3

import (
	"context"
	"strconv"

	"watertight/internal/core/object"
	"watertight/internal/gateway/dialect/xmldoc"
)

// lines encodes the entries of one page of a listing as they are read. A page has up to a
// thousand of them, so they are no shapes (S3 API reference, Object, ObjectVersion and
// DeleteMarkerEntry).
type lines struct {
	to        *xmldoc.Elements
	url       bool // encoding-type=url
	withOwner bool
	stamps    xmldoc.Stamps
	owners    owners
	account   string // owner of the line before
	owner     []byte // its element
}

// newLines returns the encoder of a page. kind is its encoding-type.
func (a *API) newLines(kind string, withOwner bool) *lines {
	return &lines{to: a.chunks.Elements(), url: kind == "url", withOwner: withOwner, owners: owners{api: a}}
}

// mostOfLine is the room for a line without its key, and mostOfByte what a byte of a key becomes
// at most, in bytes.
const (
	mostOfLine = 1024
	mostOfByte = len("&quot;")
)

// object adds a line of ListObjects or ListObjectsV2.
func (l *lines) object(ctx context.Context, key []byte, e *object.Entry) error {
	owner, err := l.ownerOf(ctx, e.Owner)
	if err != nil {
		return err
	}
	b := l.to.Room(mostOfLine + mostOfByte*len(key))
	b = l.appendKey(append(b, "<Contents>"...), key)
	b = l.appendEntry(b, e)
	l.to.Keep(append(append(b, owner...), "</Contents>"...))
	return nil
}

// version adds a line of ListObjectVersions.
func (l *lines) version(ctx context.Context, key []byte, e *object.VersionEntry) error {
	owner, err := l.ownerOf(ctx, e.Owner)
	if err != nil {
		return err
	}
	open, end := "<Version>", "</Version>"
	if e.DeleteMarker {
		open, end = "<DeleteMarker>", "</DeleteMarker>"
	}
	b := l.to.Room(mostOfLine + mostOfByte*len(key))
	b = l.appendKey(append(b, open...), key)
	b = e.AppendID(append(b, "<VersionId>"...))
	b = strconv.AppendBool(append(b, "</VersionId><IsLatest>"...), e.Latest)
	b = append(b, "</IsLatest>"...)
	if e.DeleteMarker {
		b = l.appendTime(b, &e.Entry)
	} else {
		b = l.appendEntry(b, &e.Entry)
	}
	l.to.Keep(append(append(b, owner...), end...))
	return nil
}

func (l *lines) appendKey(b, key []byte) []byte {
	b = append(b, "<Key>"...)
	if l.url {
		b = appendURL(b, key)
	} else {
		b = xmldoc.AppendText(b, key)
	}
	return append(b, "</Key>"...)
}

func (l *lines) appendTime(b []byte, e *object.Entry) []byte {
	if e.Modified.IsZero() {
		return b
	}
	b = l.stamps.Append(append(b, "<LastModified>"...), e.Modified)
	return append(b, "</LastModified>"...)
}

func (l *lines) appendEntry(b []byte, e *object.Entry) []byte {
	b = append(l.appendTime(b, e), "<ETag>&quot;"...)
	b = append(e.ETag.Append(b), "&quot;</ETag>"...)
	if e.Algorithm != "" {
		b = append(append(append(b, "<ChecksumAlgorithm>"...), e.Algorithm...), "</ChecksumAlgorithm>"...)
	}
	if e.ChecksumType != "" {
		b = append(append(append(b, "<ChecksumType>"...), e.ChecksumType...), "</ChecksumType>"...)
	}
	b = append(strconv.AppendInt(append(b, "<Size>"...), e.Size, 10), "</Size>"...)
	if e.StorageClass != "" {
		b = append(append(append(b, "<StorageClass>"...), e.StorageClass...), "</StorageClass>"...)
	}
	return b
}

// ownerOf returns the element of a line's owner, or nothing if the listing shows none.
func (l *lines) ownerOf(ctx context.Context, account string) ([]byte, error) {
	if !l.withOwner || l.owner != nil && l.account == account {
		return l.owner, nil
	}
	owner, err := l.owners.find(ctx, account)
	if err != nil {
		return nil, err
	}
	b := append(l.owner[:0], "<Owner>"...)
	if owner.ID != "" {
		b = xmldoc.AppendMember(b, "ID", owner.ID)
	}
	l.account, l.owner = account, append(b, "</Owner>"...)
	return l.owner, nil
}

// appendURL appends a key as encoding-type=url asks: as url.QueryEscape, but "/" stays.
func appendURL[Text string | []byte](b []byte, key Text) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', c == '/':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
