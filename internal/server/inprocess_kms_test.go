package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/internal/datadir"
	"watertight/internal/edge/origin"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
)

// TestServiceUnderKMS: an object under a customer's key is read only if the key's policy, too,
// lets the service in, and one under the account's aws/s3 key never is.
func TestServiceUnderKMS(t *testing.T) {
	s := newBox(t)
	own := origin.Sender{Signs: true, SourceARN: oacARN, SourceAccount: oacAccount}
	if code := s.send(http.MethodPut, "/box?policy=", oacPolicy(oacAllow(`["s3:GetObject","s3:PutObject"]`, "/*",
		byARN)))(); code != 204 {
		t.Fatal(code)
	}
	key := s.kms(t, "CreateKey", `{}`)["KeyMetadata"].(map[string]any)["Arn"].(string)
	underKey := []string{"X-Amz-Server-Side-Encryption", "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", key}
	for name, extra := range map[string][]string{"/under-key": underKey, "/under-managed": underKey[:2]} {
		if code := s.send(http.MethodPut, "/box"+name, []byte("sealed"), extra...)(); code != 200 {
			t.Fatal(name, code)
		}
	}
	asked := func(want int, target string) {
		t.Helper()
		if code, text := s.from(t, own, "GET", target, ""); code != want {
			t.Errorf("%s: %d %s, want %d", target, code, text, want)
		}
	}
	asked(403, "/under-key")
	asked(403, "/under-managed")
	for name, c := range map[string]struct {
		condition string
		want      int
	}{
		"by ARN":  {byARN, 200},
		"another": {strings.Replace(byARN, "E1", "E2", 1), 403},
		"by S3": {
			`{"StringEquals":{"AWS:SourceArn":"` + oacARN + `","kms:ViaService":"s3.us-east-1.amazonaws.com"}}`, 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := oacPolicy(
				`{"Effect":"Allow","Principal":{"AWS":"`+s.First().AccountID+`"},"Action":"kms:*","Resource":"*"}`,
				`{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":["kms:Decrypt",`+
					`"kms:GenerateDataKey*"],"Resource":"*","Condition":`+c.condition+`}`)
			in, _ := json.Marshal(map[string]string{"KeyId": key, "PolicyName": "default", "Policy": string(policy)})
			s.kms(t, "PutKeyPolicy", string(in))
			asked(c.want, "/under-key")
			asked(403, "/under-managed")
			if code, _ := s.from(t, own, "PUT", "/new", "new", underKey...); code != c.want {
				t.Errorf("a write: %d, want %d", code, c.want)
			}
		})
	}
}

// kms calls an operation of KMS as the root user.
func (s *inHouse) kms(t *testing.T, operation, document string) map[string]any {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(document))
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sum := sha256.Sum256([]byte(document))
	cred := aws.Credentials{AccessKeyID: "AKIATESTTESTTESTTEST", SecretAccessKey: inHouseSecret}
	if err := v4.NewSigner().SignHTTP(t.Context(), cred, r, hex.EncodeToString(sum[:]), "kms", "us-east-1",
		time.Now()); err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	s.dispatcher.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9000})))
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", operation, w.Code, w.Body)
	}
	out := map[string]any{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestServiceInTheAuditLog: an event of a distribution's request says who asked, and for which
// distribution. Refused ones are counted with those of strangers, so that viewers can't fill
// the log.
func TestServiceInTheAuditLog(t *testing.T) {
	s := newBox(t)
	own := origin.Sender{Signs: true, SourceARN: oacARN, SourceAccount: oacAccount}
	if code := s.send(http.MethodPut, "/box?policy=", oacPolicy(oacAllow(`"s3:GetObject"`, "/*",
		byARN)))(); code != 204 {
		t.Fatal(code)
	}
	if code, _ := s.from(t, own, "GET", "/page", ""); code != 200 {
		t.Fatal(code)
	}
	const flood = 200
	for range flood {
		if code, _ := s.from(t, own, "GET", "/none", ""); code != 403 {
			t.Fatal(code)
		}
	}
	dir, ring := datadir.AuditDir(s.config.Data), s.rootKey.Ring
	if err := s.trail.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.trail = nil
	var served, refused, counted int
	err := audit.Read(folder.OS(), dir, ring, func(g audit.Group) error {
		for _, e := range g.Events {
			text := string(e.JSON)
			ours := strings.Contains(text, `{"type":"AWSService","invokedBy":"cloudfront.amazonaws.com"}`) &&
				strings.Contains(text, `"sourceIPAddress":"cloudfront.amazonaws.com"`) &&
				strings.Contains(text, `"sourceArn":"`+oacARN+`"`)
			switch {
			case ours && strings.Contains(text, `"errorCode":"AccessDenied"`):
				refused++
			case ours:
				served++
			case strings.Contains(text, `"StrangersRefused"`) && strings.Contains(text, oacARN):
				counted++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if served != 1 || refused == 0 || refused >= flood/2 || counted == 0 {
		t.Errorf("%d served, %d refused, %d counted", served, refused, counted)
	}
}
