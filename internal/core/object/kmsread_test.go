package object

import (
	"io"
	"strings"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// TestKeyDisabledWhilePartsAreRead: after the key is disabled, no byte of a further part is sent.
func TestKeyDisabledWhilePartsAreRead(t *testing.T) {
	w := newWorld(t)
	g := w.all(coretest.Root(coretest.Account, nil))
	two, err := w.objects.PutPart(t.Context(), g, PartInput{
		Bucket: "bkt", Key: "multi", UploadID: w.upload.ID, Number: 2, Body: strings.NewReader("last"), Size: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.objects.CompleteUpload(t.Context(), g, CompleteInput{
		Bucket: "bkt", Key: "multi", UploadID: w.upload.ID,
		Parts: []CompletePart{{Number: 1, ETag: w.part.ETag.String()}, {Number: 2, ETag: two.ETag.String()}},
	}); err != nil {
		t.Fatal(err)
	}
	r, err := w.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "multi"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	w.disable(w.key)
	got, err := io.ReadAll(r.Body)
	if string(got) != "part" || !fault.Is(err, fault.DisabledException) {
		t.Errorf("%q, %v", got, err)
	}
}
