package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"rsc.io/qr"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// authenticator makes codes as a device does (RFC 6238).
type authenticator struct {
	seed []byte
	step int64
	hash func() hash.Hash
}

// codes returns two consecutive codes, the first of them n steps from now.
func (a authenticator) codes(n int64) (out [2]string) {
	for i := range out {
		m := hmac.New(a.hash, a.seed)
		binary.Write(m, binary.BigEndian, time.Now().Unix()/a.step+n+int64(i))
		sum := m.Sum(nil)
		at := sum[len(sum)-1] & 15
		out[i] = fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
	}
	return out
}

// typing is a running command whose input a test types.
type typing struct {
	*exec.Cmd
	t     *testing.T
	in    io.WriteCloser
	out   *bufio.Reader
	errs  bytes.Buffer
	shown strings.Builder
}

func typeInto(t *testing.T, data string, args ...string) *typing {
	t.Helper()
	c := &typing{Cmd: exec.Command("watertight", append(args, "--data", data)...), t: t}
	c.Stderr = &c.errs
	var err error
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// until reads lines until one begins with prefix, and returns the rest of it.
func (c *typing) until(prefix string) string {
	c.t.Helper()
	for {
		line, err := c.out.ReadString('\n')
		c.shown.WriteString(line)
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
		if err != nil {
			c.Wait()
			c.t.Fatalf("no line begins with %q: %s%s", prefix, &c.shown, &c.errs)
		}
	}
}

// ends waits for the command, and returns its output.
func (c *typing) ends(works bool) string {
	c.t.Helper()
	rest, _ := io.ReadAll(c.out)
	c.shown.Write(rest)
	err := c.Wait()
	if said := c.shown.String() + c.errs.String(); (err == nil) != works {
		c.t.Fatalf("it ends with %v: %s", err, said)
	}
	return c.shown.String() + c.errs.String()
}

func rootOf(s *harness.Server) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, "")
}

func accountOf(t *testing.T, s *harness.Server) string {
	t.Helper()
	all, err := operator.Dial(s.Data).Accounts(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].AccountID
}

func devicesOf(t *testing.T, s *harness.Server) (all []operator.MFADevice) {
	t.Helper()
	out, errs, err := command(t, filepath.Dir(s.Data), "mfa", "list", "--json", "--data", s.Data)
	if err != nil || json.Unmarshal([]byte(out), &all) != nil {
		t.Fatal(out, errs, err)
	}
	return all
}

// TestEnrollRoot: the root user's device is stored once two consecutive codes are right. An interrupted
// enrolment stores nothing, and no seed is logged or audited.
func TestEnrollRoot(t *testing.T) {
	var rootKey string
	s := harness.Start(t, func(c *server.Config) { rootKey = c.RootKey })
	var seeds []string
	enroll := func() (*typing, authenticator) {
		c := typeInto(t, s.Data, "mfa", "enroll")
		text := strings.ReplaceAll(c.until("Secret: "), " ", "")
		seeds = append(seeds, text)
		seed, err := base32.StdEncoding.DecodeString(text)
		if err != nil || len(seed) != 40 {
			t.Fatalf("%q: %v", text, err)
		}
		return c, authenticator{seed, 30, sha1.New}
	}
	api := iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	if _, err := api.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{
		VirtualMFADeviceName: aws.String("root-account-mfa-device"),
	}); err != nil { // nobody's: it is replaced
		t.Fatal(err)
	}
	c, a := enroll()
	fmt.Fprintln(c.in, a.codes(-1)[0])
	c.Process.Signal(os.Interrupt)
	if said := c.ends(false); !strings.Contains(said, "interrupted; no device was added") {
		t.Error(said)
	}
	c, a = enroll()
	for range attempts {
		fmt.Fprintf(c.in, "%s\n%s\n", a.codes(-1)[0], a.codes(-1)[0])
	}
	if said := c.ends(false); !strings.Contains(said, "InvalidAuthenticationCode") {
		t.Error(said)
	}
	if all := devicesOf(t, s); len(all) != 1 || all[0].Enabled != nil {
		t.Fatalf("half enrolled: %+v", all)
	}
	c, a = enroll()
	right := a.codes(-1)
	fmt.Fprintf(c.in, "000000 000000\n%s\n%s\n", right[0], right[1])
	serial := "arn:aws:iam::" + accountOf(t, s) + ":mfa/root-account-mfa-device"
	if said := c.ends(true); !strings.Contains(said, serial+" is a device of the root user.") ||
		!strings.Contains(said, "▀") {
		t.Error(said)
	}
	all := devicesOf(t, s)
	if len(all) != 1 || all[0].SerialNumber != serial || all[0].Owner != "root" || all[0].Enabled == nil {
		t.Errorf("%+v", all)
	}
	tokens := sts.New(sts.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	if _, err := tokens.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{
		SerialNumber: &serial, TokenCode: aws.String(a.codes(1)[0]),
	}); err != nil {
		t.Error(err)
	}
	if said := typeInto(t, s.Data, "mfa", "enroll").ends(false); !strings.Contains(said, "already") {
		t.Error(said)
	}
	if said := typeInto(t, s.Data, "mfa", "remove", serial).ends(true); said != "" {
		t.Error(said)
	}
	s.Stop()
	events, errs, err := command(t, filepath.Dir(s.Data), "audit", "export", "--data", s.Data, "--root-key", rootKey)
	if err != nil || strings.Count(events, `"AddMFADevice"`) != attempts+2 ||
		strings.Count(events, `"RemoveMFADevice"`) != 1 || !strings.Contains(events, serial) {
		t.Errorf("%v %s\n%s", err, errs, events)
	}
	for _, seed := range seeds {
		if strings.Contains(s.Logs.String()+events, seed) {
			t.Errorf("a seed was logged")
		}
	}
}

// TestInterruptedAnswers: a command that was interrupted always says so, also if the reader of standard input has ended
// with it, which looks like the end of the input.
func TestInterruptedAnswers(t *testing.T) {
	ended := make(chan string)
	close(ended)
	for name, c := range map[string]struct {
		interrupted bool
		lines       chan string
		want        string
	}{
		"interrupted":          {true, make(chan string), "interrupted; no device was added"},
		"and the reader's end": {true, ended, "interrupted; no device was added"},
		"the end of the input": {false, ended, "standard input ended; no device was added"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.interrupted {
				cancel()
			}
			for range 100 { // of several events, select takes a random one
				a := answers{process{ctx: ctx, stderr: io.Discard}, c.lines}
				if _, err := a.line("Code:"); err == nil || err.Error() != c.want {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestImportTokens: a token is imported with a seed of every form, and AWS's commands give it to a user.
func TestImportTokens(t *testing.T) {
	s := harness.Start(t)
	api := iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	if _, err := api.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("ada")}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		authenticator
		text func([]byte) string
		args []string
	}{
		{authenticator{step: 30, hash: sha1.New}, hex.EncodeToString, nil},
		{authenticator{step: 60, hash: sha1.New}, base32.StdEncoding.EncodeToString, []string{"--step", "60"}},
		{
			authenticator{step: 30, hash: sha256.New}, base32.StdEncoding.EncodeToString,
			[]string{"--algorithm", "SHA256"},
		},
		{
			authenticator{step: 60, hash: sha256.New}, hex.EncodeToString,
			[]string{"--algorithm", "SHA256", "--step", "60"},
		},
	} {
		serial := fmt.Sprintf("GAHT1234567%d", i)
		t.Run(strings.Join(append([]string{serial}, c.args...), " "), func(t *testing.T) {
			c.seed = bytes.Repeat([]byte{byte(i + 1)}, 32)
			args := append([]string{"mfa", "import", "--serial", serial}, c.args...)
			typed := typeInto(t, s.Data, args...)
			codes := c.codes(-8)
			fmt.Fprintf(typed.in, "%s\n%s %s\n", c.text(c.seed), codes[0], codes[1])
			if said := typed.ends(true); !strings.Contains(said, serial+" is a device of nobody yet.") ||
				strings.Contains(said, c.text(c.seed)) {
				t.Error(said)
			}
			codes = c.codes(-6)
			if _, err := api.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{
				UserName: aws.String("ada"), SerialNumber: &serial, AuthenticationCode1: &codes[0],
				AuthenticationCode2: &codes[1],
			}); err != nil {
				t.Fatal(err)
			}
			codes = c.codes(-1)
			if _, err := api.ResyncMFADevice(t.Context(), &iam.ResyncMFADeviceInput{
				UserName: aws.String("ada"), SerialNumber: &serial, AuthenticationCode1: &codes[0],
				AuthenticationCode2: &codes[1],
			}); err != nil {
				t.Fatal(err)
			}
			all, err := api.ListMFADevices(t.Context(), &iam.ListMFADevicesInput{UserName: aws.String("ada")})
			if err != nil || len(all.MFADevices) != 1 || *all.MFADevices[0].SerialNumber != serial {
				t.Errorf("%+v, %v", all, err)
			}
			one, err := api.GetMFADevice(t.Context(), &iam.GetMFADeviceInput{
				UserName: aws.String("ada"), SerialNumber: &serial,
			})
			if err != nil || *one.SerialNumber != serial {
				t.Errorf("%+v, %v", one, err)
			}
			if _, err := api.DeactivateMFADevice(t.Context(), &iam.DeactivateMFADeviceInput{
				UserName: aws.String("ada"), SerialNumber: &serial,
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if all := devicesOf(t, s); len(all) != 4 || all[3].Step != 60 || all[3].Algorithm != "SHA256" ||
		all[3].Kind != "hardware" || all[3].Owner != "" {
		t.Errorf("%+v", all)
	}
}

// TestImportForSomebody: an import can give a token to a user or the root user at once, with the seed
// in a file, and with --no-confirm without codes.
func TestImportForSomebody(t *testing.T) {
	s := harness.Start(t)
	file := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(file, []byte(strings.Repeat("a7", 20)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	import1 := func(works bool, args ...string) string {
		t.Helper()
		c := typeInto(t, s.Data, append([]string{"mfa", "import", "--seed-file", file}, args...)...)
		c.in.Close()
		return c.ends(works)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no codes":        {[]string{"--serial", "GAHT12345678"}, "standard input ended; no device was added"},
		"a short serial":  {[]string{"--serial", "1", "--no-confirm"}, "9 to 128"},
		"nobody":          {[]string{"--serial", "GAHT12345678", "--no-confirm", "--user", "nobody"}, "NoSuchEntity"},
		"no such account": {[]string{"--serial", "GAHT12345678", "--no-confirm", "--account", "1"}, "no account 1"},
		"other steps":     {[]string{"--serial", "GAHT12345678", "--step", "45"}, "--step must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := import1(false, c.args...); !strings.Contains(said, c.want) {
				t.Error(said)
			}
		})
	}
	import1(true, "--serial", "GAHT12345678", "--user", "root", "--no-confirm")
	if said := import1(false, "--serial", "GAHT12345678", "--no-confirm"); !strings.Contains(said, "already") {
		t.Error(said)
	}
	a := authenticator{bytes.Repeat([]byte{0xa7}, 20), 30, sha1.New}
	tokens := sts.New(sts.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	if _, err := tokens.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{
		SerialNumber: aws.String("GAHT12345678"), TokenCode: aws.String(a.codes(0)[0]),
	}); err != nil {
		t.Error(err)
	}
	if said := typeInto(t, s.Data, "mfa", "list").ends(true); !strings.Contains(said, "GAHT12345678") ||
		!strings.Contains(said, "SHA1, 30 s") {
		t.Error(said)
	}
	typeInto(t, s.Data, "mfa", "remove", "GAHT12345678").ends(true)
	if said := typeInto(t, s.Data, "mfa", "remove", "GAHT12345678").ends(false); !strings.Contains(said,
		"NoSuchEntity") {
		t.Error(said)
	}
}

// TestRootsToken: AWS's commands give a token to the root user. Its codes switch MFA Delete and destroy
// versions.
func TestRootsToken(t *testing.T) {
	s := harness.Start(t)
	ctx, serial, bucket := t.Context(), aws.String("GAHT12345678"), aws.String("bkt")
	a := authenticator{bytes.Repeat([]byte{3}, 32), 60, sha256.New}
	c := typeInto(t, s.Data, "mfa", "import", "--serial", *serial, "--step", "60", "--algorithm", "SHA256",
		"--no-confirm")
	fmt.Fprintln(c.in, hex.EncodeToString(a.seed))
	c.ends(true)
	api := iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	codes := a.codes(-3)
	if _, err := api.EnableMFADevice(ctx, &iam.EnableMFADeviceInput{
		UserName: aws.String("root"), SerialNumber: serial, AuthenticationCode1: &codes[0],
		AuthenticationCode2: &codes[1],
	}); err != nil {
		t.Fatal(err)
	}
	all, err := api.ListMFADevices(ctx, &iam.ListMFADevicesInput{})
	if err != nil || len(all.MFADevices) != 1 || *all.MFADevices[0].SerialNumber != *serial {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	// The codes put the token's clock two steps behind the server's.
	enable := func(code string) error {
		_, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: bucket, MFA: aws.String(*serial + " " + code),
			VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled", MFADelete: "Enabled"},
		})
		return err
	}
	if err := enable(codes[1]); err == nil {
		t.Error("a code that enabled the token is accepted again")
	}
	tokens := sts.New(sts.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, Credentials: rootOf(s), HTTPClient: harness.SDK(s.HTTP),
	})
	session, err := tokens.GetSessionToken(ctx, &sts.GetSessionTokenInput{
		SerialNumber: serial, TokenCode: aws.String(a.codes(-1)[0]),
	})
	if err != nil {
		t.Fatal(err)
	}
	resync := func(by aws.CredentialsProvider, codes [2]string) error {
		_, err := api.ResyncMFADevice(ctx, &iam.ResyncMFADeviceInput{
			UserName: aws.String("root"), SerialNumber: serial, AuthenticationCode1: &codes[0],
			AuthenticationCode2: &codes[1],
		}, func(o *iam.Options) { o.Credentials = by })
		return err
	}
	if err := resync(rootOf(s), a.codes(2)); err == nil {
		t.Error("the root user's access key alone resynchronizes its token")
	}
	withCode := credentials.NewStaticCredentialsProvider(*session.Credentials.AccessKeyId,
		*session.Credentials.SecretAccessKey, *session.Credentials.SessionToken)
	if err := resync(withCode, a.codes(2)); err != nil {
		t.Fatal(err)
	}
	if err := enable(a.codes(4)[0]); err != nil {
		t.Error(err)
	}
	key := aws.String("k")
	put, err := s.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	destroy := &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: put.VersionId}
	if _, err := s.S3.DeleteObject(ctx, destroy); err == nil {
		t.Error("a version is destroyed without a code")
	}
	if err := resync(withCode, a.codes(6)); err != nil {
		t.Fatal(err)
	}
	destroy.MFA = aws.String(*serial + " " + a.codes(8)[0])
	if _, err := s.S3.DeleteObject(ctx, destroy); err != nil {
		t.Error(err)
	}
}

// TestQRCode: the terminal shows the code with its margin, in its own colours.
func TestQRCode(t *testing.T) {
	var out strings.Builder
	text := "otpauth://totp/x?secret=" + strings.Repeat("A", 64)
	if err := printQR(&out, text); err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != (code.Size+2*quiet+1)/2 {
		t.Fatalf("%d lines of a code of %d", len(lines), code.Size)
	}
	for i, line := range lines {
		line, ok := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
		line, end := strings.CutSuffix(line, "\x1b[0m")
		if !ok || !end {
			t.Fatalf("a line without colours: %q", line)
		}
		for x, r := range []rune(line) {
			up, low := r == '█' || r == '▀', r == '█' || r == '▄'
			y := 2*i - quiet
			if up != code.Black(x-quiet, y) || low != code.Black(x-quiet, y+1) {
				t.Errorf("%c at %d,%d", r, x-quiet, y)
			}
		}
	}
}
