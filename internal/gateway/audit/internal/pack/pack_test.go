package pack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const testLimit = 1 << 20

func testWritten() time.Time { return time.Date(2026, 12, 1, 3, 4, 6, 0, time.UTC) }

// request is what differs between the records of a test.
type request struct {
	caller, agent, bucket, key, id string
	put                            bool
}

// record is a record as the audit log writes it.
func (q request) record() []byte {
	if q.id == "" {
		q.id = "47B8E8D397DCE7A6"
	}
	host := base64.StdEncoding.EncodeToString([]byte(q.id + q.id))
	event, reads := "GetObject", "true"
	if q.put {
		event, reads = "PutObject", "false"
	}
	return []byte(`{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"AIDA` + q.caller +
		`","arn":"arn:aws:iam::111122223333:user/` + q.caller + `","accountId":"111122223333","accessKeyId":"AKIA` +
		q.caller + `","userName":"` + q.caller + `"},"eventTime":"2026-12-01T03:04:05Z",` +
		`"eventSource":"s3.amazonaws.com","eventName":"` + event + `","awsRegion":"eu-central-1",` +
		`"sourceIPAddress":"192.0.2.1","userAgent":"[` + q.agent + `]","requestParameters":{"bucketName":"` + q.bucket +
		`","key":"` + q.key + `","Host":"` + q.bucket + `.s3.example.com"},"responseElements":null,` +
		`"additionalEventData":{"SignatureVersion":"SigV4","bytesTransferredIn":0,"SSEApplied":"SSE_S3",` +
		`"AuthenticationMethod":"AuthHeader","x-amz-id-2":"` + host + `","bytesTransferredOut":1024},"requestID":"` +
		q.id + `","eventID":"cdc4b7ed-e171-4cef-975a-ad829d4123e8","readOnly":` + reads + `,"resources":[` +
		`{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::` + q.bucket + `/` + q.key + `"},` +
		`{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::` + q.bucket + `"}],` +
		`"eventType":"AwsApiCall","managementEvent":false,"eventCategory":"Data","recipientAccountId":"111122223333"}`)
}

func appendEvent(dst []byte, commit uint64, record []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, commit)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(record)))
	return append(dst, record...)
}

func newPacker(t testing.TB) *Packer {
	t.Helper()
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newUnpacker(t testing.TB) *Unpacker {
	t.Helper()
	u, err := NewUnpacker(testLimit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// word draws a text as it stands in JSON.
func word(t *rapid.T, name string) string {
	return rapid.StringMatching(`([a-z0-9/ é{}:,]|\\"|\\\\|\\u001f){0,40}`).Draw(t, name)
}

// TestEventsComeBack packs records of requests, records that were changed anywhere, and any bytes.
func TestEventsComeBack(t *testing.T) {
	p, u := newPacker(t), newUnpacker(t)
	rapid.Check(t, func(t *rapid.T) {
		var events []byte
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			q := request{
				caller: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "caller"), agent: word(t, "agent"),
				bucket: rapid.SampledFrom([]string{"b", "bucket", ""}).Draw(t, "bucket"), key: word(t, "key"),
				id: rapid.StringMatching(`[A-Z0-9]{0,16}`).Draw(t, "id"), put: rapid.Bool().Draw(t, "put"),
			}
			record := q.record()
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 1:
				at := rapid.IntRange(0, len(record)-1).Draw(t, "at")
				record[at] = rapid.Byte().Draw(t, "byte")
			case 2:
				at := rapid.IntRange(0, len(record)).Draw(t, "cut")
				record = append(record[:at:at], record[min(len(record), at+rapid.IntRange(0, 40).Draw(t, "n")):]...)
			case 3:
				record = rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "bytes")
			}
			events = appendEvent(events, rapid.Uint64().Draw(t, "commit"), record)
		}
		packed := p.Append([]byte("before"), events, testWritten())
		if len(packed) > len("before")+1+len(events) {
			t.Fatalf("%d bytes became %d", len(events), len(packed))
		}
		got, err := u.Append([]byte("before"), packed[len("before"):], testWritten())
		if err != nil || !bytes.Equal(got[len("before"):], events) {
			t.Fatalf("%v: got %q, want %q", err, got, events)
		}
	})
}

// TestUsualShapesAreExact: a record that is compared with the shape of another one has the fields that
// cut finds, and none is missed that has that shape.
func TestUsualShapesAreExact(t *testing.T) {
	same := 0
	rapid.Check(t, func(t *rapid.T) {
		record := func(name string) []byte {
			q := request{
				caller: "alice", agent: "a", bucket: rapid.SampledFrom([]string{"b", "b", ""}).Draw(t, name),
				key: rapid.SampledFrom([]string{"k", "b/k", "x/b/k", "", `\"`, `k\\`}).Draw(t, name), put: true,
				id: rapid.SampledFrom([]string{"", "AB", "CDEF"}).Draw(t, name),
			}
			b := q.record()
			switch rapid.IntRange(0, 4).Draw(t, name) {
			case 0:
				at := rapid.IntRange(0, len(b)-1).Draw(t, name)
				b[at] = rapid.SampledFrom([]byte(`":,{}[]0\/`+"\x01")).Draw(t, name)
			case 1:
				other := rapid.SampledFrom([]string{"b/k", "a/b/k", "x"}).Draw(t, name)
				const before = `"resources":[`
				b = bytes.Replace(b, []byte(before), []byte(before+`{"ARN":"arn:aws:s3:::`+other+`"},`), 1)
			case 2:
				number := rapid.SampledFrom([]string{"7", "07", "1234567890123456789", ""}).Draw(t, name)
				b = bytes.Replace(b, []byte("1024"), []byte(number), 1)
			}
			return b
		}
		var first, second, third cutter
		a, b := record("a"), record("b")
		if rapid.Bool().Draw(t, "alike") {
			b = bytes.Replace(a, []byte("cdc4b7ed"), []byte("0123abcd"), 1)
		}
		if !first.cut(a, 5) {
			return
		}
		u, ok := newUsual(string(first.shape), 1)
		if !ok {
			return
		}
		alike, cuts := third.like(u, b, 5), second.cut(b, 5)
		if want := cuts && bytes.Equal(second.shape, first.shape); alike != want {
			t.Fatalf("like %t, same shape %t:\n%q\n%q", alike, want, a, b)
		}
		if alike && !bytes.Equal(second.fields, third.fields) {
			t.Fatalf("fields %q, want %q", third.fields, second.fields)
		}
		if alike {
			same++
		}
	})
	if same < 5 {
		t.Errorf("only %d records had the same shape", same)
	}
}

// TestFewBytes states what a record costs: alone, and in a frame with others like it.
func TestFewBytes(t *testing.T) {
	p := newPacker(t)
	for _, c := range []struct{ events, most int }{{1, 420}, {10, 130}, {1000, 90}} {
		t.Run(fmt.Sprint(c.events), func(t *testing.T) {
			var events []byte
			for i := range c.events {
				q := request{
					caller: "alice", agent: "aws-cli/2.31.0 md/awscrt#0.28.0 ua/2.1 os/linux", bucket: "photos",
					key: fmt.Sprintf("2026/11/%020d.jpg", i), put: i%2 == 0,
				}
				events = appendEvent(events, uint64(i), q.record())
			}
			if n := len(p.Append(nil, events, testWritten())) / c.events; n > c.most {
				t.Errorf("%d bytes for each event, want at most %d", n, c.most)
			}
		})
	}
}

// TestLengthSaysNothingOfOthers: what an attacker's event adds to a frame does not depend on what it
// has in common with another caller's, so a guess of a secret cannot be confirmed by length.
func TestLengthSaysNothingOfOthers(t *testing.T) {
	p := newPacker(t)
	size := func(events ...request) int {
		var b []byte
		for _, q := range events {
			b = appendEvent(b, 0, q.record())
		}
		if b = p.Append(nil, b, testWritten()); b[0] != cuts {
			t.Fatal("not packed")
		}
		return len(b)
	}
	rapid.Check(t, func(rt *rapid.T) {
		secret := rapid.StringMatching(`[a-z0-9]{1,60}`).Draw(rt, "secret")
		guess := []byte(secret)
		for i := range guess {
			if i >= rapid.IntRange(0, len(secret)).Draw(rt, "right") {
				guess[i] = 'Z'
			}
		}
		victim := request{caller: "alice", agent: secret, bucket: "of" + secret, key: secret}
		others := []request{victim, {caller: "alice", agent: "x", bucket: "b", key: "k" + secret}}
		alone := size(others...)
		for _, with := range []func(text string) request{
			func(text string) request { return request{caller: "mallory", agent: "m", bucket: "b", key: text} },
			func(text string) request { return request{caller: "mallory", agent: text, bucket: "b", key: "k"} },
			func(text string) request {
				return request{caller: "mallory", agent: "m", bucket: "of" + text, key: "k"}
			},
			func(text string) request { return request{caller: "alice", agent: "x", bucket: "b", key: text} },
		} {
			right, wrong := with(secret), with(strings.ToUpper(string(guess)))
			// Alone, a text may compress better than another one. That is the same with others in the frame.
			if got, want := size(append(others, right)...)-alone, size(others[1], right)-size(others[1]); got != want {
				rt.Fatalf("the secret adds %d bytes beside the secret, %d without it", got, want)
			}
			if got, want := size(append(others, wrong)...)-alone, size(others[1], wrong)-size(others[1]); got != want {
				rt.Fatalf("a guess adds %d bytes beside the secret, %d without it", got, want)
			}
		}
	})
}

// TestBombs refuses what would become longer than it declares, or than the limit.
func TestBombs(t *testing.T) {
	p, u := newPacker(t), newUnpacker(t)
	text := func(b []byte) []byte {
		return append(binary.AppendUvarint(nil, uint64(len(b))), append([]byte{0}, b...)...)
	}
	frame := func(size uint64, events ...[]byte) []byte {
		return append(binary.AppendUvarint([]byte{cuts}, size), bytes.Join(events, nil)...)
	}
	fresh := func(shape, fields []byte) []byte {
		return append(append([]byte{0, 1}, text(shape)...), text(fields)...)
	}
	long := p.zstd.EncodeAll(make([]byte, 2*testLimit), nil)
	zeros := func(declared uint64) []byte {
		b := binary.AppendUvarint([]byte{0, 0}, declared)
		return append(binary.AppendUvarint(b, uint64(len(long))), long...)
	}
	key := append([]byte{200, 1}, make([]byte, 200)...)
	again := append([]byte{markKey}, bytes.Repeat([]byte{markAgain}, 10_000)...)
	for name, b := range map[string][]byte{
		"empty":                 {},
		"unknown way":           {9, 0},
		"declares too much":     frame(testLimit+1, fresh([]byte("a"), nil)),
		"longer than declared":  frame(eventHeader+1, fresh([]byte("ab"), nil)),
		"shorter than declared": frame(eventHeader+3, fresh([]byte("ab"), nil)),
		"zstd beyond declared":  frame(testLimit, zeros(100)),
		"zstd beyond limit":     frame(testLimit, zeros(2*testLimit)),
		"key again and again":   frame(eventHeader+200_200, fresh(again, key)),
		"too many marks":        frame(testLimit, fresh(bytes.Repeat([]byte{markAgain}, marksMost+1), nil)),
		"shapes beyond size":    frame(eventHeader+10, fresh(bytes.Repeat([]byte{'a'}, 11), nil)),
		"no such shape":         frame(eventHeader+10, []byte{0, 3, 0, 0}),
		"unknown mark":          frame(eventHeader+1, fresh([]byte{9}, nil)),
		"fields are left":       frame(eventHeader+1, fresh([]byte("a"), []byte{1})),
		"fields are missing":    frame(eventHeader+1, fresh([]byte{markText}, nil)),
		"plain beyond limit":    append([]byte{plain}, make([]byte, testLimit+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := u.Append(nil, b, testWritten())
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	p, u := newPacker(f), newUnpacker(f)
	q := request{caller: "alice", agent: "agent", bucket: "b", key: "k"}
	one := appendEvent(nil, 7, q.record())
	f.Add(p.Append(nil, one, testWritten()))
	f.Add(p.Append(nil, appendEvent(one, 8, []byte{1, 2, 3}), testWritten()))
	f.Add(p.Append(nil, nil, testWritten()))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := u.Append(nil, b, testWritten())
		switch {
		case err != nil && !errors.Is(err, ErrMalformed):
			t.Fatal(err)
		case len(got) > testLimit:
			t.Fatalf("%d bytes", len(got))
		}
	})
}

func FuzzPack(f *testing.F) {
	p, u := newPacker(f), newUnpacker(f)
	q := request{caller: "alice", agent: "agent", bucket: "b", key: "k"}
	f.Add(q.record(), []byte(`{"eventTime":"2026-12-01T03:04:05Z"}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > testLimit/2 {
			return
		}
		events := appendEvent(appendEvent(appendEvent(nil, 1, a), 2, b), 3, a)
		got, err := u.Append(nil, p.Append(nil, events, testWritten()), testWritten())
		if err != nil || !bytes.Equal(got, events) {
			t.Fatalf("%v: %q", err, got)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	p, u := newPacker(b), newUnpacker(b)
	u.limit = 4 * testLimit
	var events []byte
	const n = 1000
	for i := range n {
		q := request{caller: "alice", agent: "aws-cli/2.31.0", bucket: "photos", put: i%2 == 0}
		q.key = fmt.Sprintf("2026/%020d", i)
		events = appendEvent(events, uint64(i), q.record())
	}
	packed := p.Append(nil, events, testWritten())
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			packed = p.Append(packed[:0], events, testWritten())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
	})
	b.Run("unpack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := u.Append(events[:0], packed, testWritten()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
	})
}
