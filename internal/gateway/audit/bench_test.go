package audit

import (
	"net/netip"
	"testing"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func typicalEvent() Event {
	return Event{
		Identity: Identity{Principal: &policy.Principal{
			Kind: policy.User, Account: "111122223333", ID: "AIDAEXAMPLE", Name: "alice",
			ARN: arn.ARN{Partition: "aws", Service: "iam", Account: "111122223333", Resource: "user/alice"},
		}, AccessKeyID: "AKIAEXAMPLE"},
		Time: testTime, Operation: action.OperationOf("s3", "GetObject"), SourceIP: netip.MustParseAddr("192.0.2.1"),
		UserAgent: "aws-cli/2.17.0 md/awscrt#0.20.11 ua/2.0 os/linux", Bucket: "bucket", Key: "photos/2026/07.jpg",
		Host: "bucket.s3.us-east-1.amazonaws.com", RequestID: "47B8E8D397DCE7A6", HostID: "hostid",
		SignatureVersion: "SigV4", AuthenticationMethod: "AuthHeader", SSEApplied: "SSE_KMS",
		BytesOut: 10, TLSVersion: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Owner: "111122223333",
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := typicalEvent()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.appendJSON(buf[:0], [16]byte{1}, "us-east-1")
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkRead measures the cost of the event of a read.
func BenchmarkRead(b *testing.B) {
	l, err := Open(Options{Dir: b.TempDir(), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close(b.Context())
	e := typicalEvent()
	b.ReportAllocs()
	for b.Loop() {
		r := l.Begin("47B8E8D397DCE7A6", testTime)
		r.Event = e
		r.Finish(Outcome{BytesOut: 10})
		if len(l.queue.buf) > queueBytes/2 {
			l.queue.take(l.queue.buf)
		}
	}
}

// BenchmarkChange measures the cost of the event of a change.
func BenchmarkChange(b *testing.B) {
	l, err := Open(Options{Dir: b.TempDir(), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close(b.Context())
	e := typicalEvent()
	e.Operation = action.OperationOf("s3", "PutObject")
	b.ReportAllocs()
	for b.Loop() {
		r := l.Begin("47B8E8D397DCE7A6", testTime)
		r.Event = e
		r.Entry()
		r.Committed()
		r.Finish(Outcome{})
	}
}
