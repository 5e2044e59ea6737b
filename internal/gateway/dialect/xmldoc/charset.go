package xmldoc

import (
	"io"
	"strings"
	"unicode/utf8"
)

// charset returns a reader of the rest of a document that declares another encoding than UTF-8. XML libraries write
// US-ASCII or ISO-8859-1 unless they are told otherwise, and S3 takes both. Other encodings are refused: in some of
// them even ASCII bytes mean something else.
func charset(label string, rest io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf8":
		return rest, nil
	case "us-ascii", "ascii":
		return &asciiReader{from: rest}, nil
	case "iso-8859-1", "latin1":
		return &asciiReader{from: rest, latin: true}, nil
	}
	return nil, errXML
}

// asciiReader passes ASCII on. Other bytes are Latin-1, or an error.
type asciiReader struct {
	from  io.Reader
	latin bool
	left  []byte // of a character that did not fit
}

func (a *asciiReader) Read(b []byte) (int, error) {
	if len(a.left) > 0 {
		n := copy(b, a.left)
		a.left = a.left[n:]
		return n, nil
	}
	n, err := a.from.Read(b[:min(len(b), 1)])
	if n == 0 || b[0] < utf8.RuneSelf {
		return n, err
	}
	if !a.latin {
		return 0, errXML
	}
	a.left = utf8.AppendRune(a.left[:0], rune(b[0]))
	n = copy(b, a.left)
	a.left = a.left[n:]
	return n, err
}
