package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"watertight/internal/datadir"
	"watertight/internal/operator"
)

var errFindings = errors.New("something is bad; what is damaged can be brought back from a backup")

// scrub checks that everything that is stored is complete and undamaged.
type scrub struct {
	sealedData
	progressFlag
	Rate         int64 `help:"Bytes per second that are read at most. 0 is no limit." default:"67108864" placeholder:"BYTES"`
	NoQuarantine bool  `help:"Leave damaged files where they are."`
	Offline      bool  `help:"Work on a data directory that no server runs on. It needs the root key."`
	JSON         bool  `help:"Print one line of JSON for each finding, and a last one with the result." name:"json"`
}

// Run prints each finding and what was examined.
func (c *scrub) Run(p process) error {
	if c.Rate < 0 {
		return usageError{errors.New("--rate must not be negative")}
	}
	bar := c.bar(p)
	told := func(s operator.ScrubProgress) error {
		if s.Finding == nil {
			return bar.show(fmt.Sprintf("%d versions, %d bytes, %d findings", s.Done.Versions, s.Done.Bytes,
				s.Done.Findings))
		}
		bar.clear()
		return c.print(p, s.Finding)
	}
	done, err := c.scrub(p, told)
	bar.clear()
	if err != nil {
		return whenGone(err, "Restart the server and run the same command again: it begins at the start.")
	}
	if err := c.summarize(p, &done); err != nil {
		return err
	}
	if done.Findings > 0 {
		return errFindings
	}
	return nil
}

func (c *scrub) scrub(p process, told func(operator.ScrubProgress) error) (operator.Scrubbed, error) {
	if !c.Offline {
		in := operator.ScrubCommand{Rate: c.Rate, Quarantine: !c.NoQuarantine}
		return operator.Dial(c.Data).Scrub(p.ctx, in, told)
	}
	return datadir.Scrub(p.ctx, c.options(p), datadir.ScrubInput{
		Rate: c.Rate, Quarantine: !c.NoQuarantine,
		Tell: func(f *operator.Finding, done operator.Scrubbed) error {
			return told(operator.ScrubProgress{Finding: f, Done: done})
		},
	})
}

func (c *scrub) print(p process, f *operator.Finding) error {
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(struct{ Finding *operator.Finding }{f})
	}
	what := "blob " + f.Blob
	switch {
	case f.File != "" && f.Problem == "metadata":
		what = "meta/" + f.File
	case f.File != "":
		what = f.File
	case f.Bucket != "":
		what = fmt.Sprintf("s3://%s/%s", f.Bucket, f.Key)
	}
	for _, detail := range []struct{ word, value string }{
		{"version", f.VersionID}, {"upload", f.UploadID}, {"part", part(f.Part)},
	} {
		if detail.value != "" {
			what += " " + detail.word + " " + detail.value
		}
	}
	if f.Quarantined {
		f.Detail += "; in quarantine: " + f.Blob
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s: %s\n", f.Problem, what, f.Detail)
	return err
}

func part(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (c *scrub) summarize(p process, d *operator.Scrubbed) error {
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(struct{ Scrubbed *operator.Scrubbed }{d})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d versions, %d delete markers, %d parts and %d blobs examined, %d bytes read\n",
		d.Versions, d.DeleteMarkers, d.Parts, d.Blobs, d.Bytes)
	for _, line := range []struct {
		n    int
		what string
	}{
		{d.CustomerKey, "need the customer's key: their outer wrapping and their length are proven"},
		{d.Unavailable, "are under keys whose material is gone: their length is proven"},
		{d.Aside, "blobs without a record are set aside"},
		{d.Apart, "blobs are in quarantine"},
	} {
		if line.n > 0 {
			fmt.Fprintf(&b, "%d %s\n", line.n, line.what)
		}
	}
	b.WriteString("the audit log and the engine's own log are not examined: watertight check reads them after a stop\n")
	fmt.Fprintf(&b, "%d findings\n", d.Findings)
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

// progressFlag says whether a command shows how far it is.
type progressFlag struct {
	Progress bool `help:"Show progress even if standard error is no terminal."`
}

func (f progressFlag) bar(p process) *progressBar {
	file, ok := p.stderr.(*os.File)
	terminal := false
	if ok {
		info, err := file.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &progressBar{to: p.stderr, lines: f.Progress && !terminal, terminal: terminal}
}

// progressBar shows the progress of a command: one changing line on a terminal, else
// separate lines, if they were asked for.
type progressBar struct {
	to              io.Writer
	lines, terminal bool
	shown           bool
}

func (b *progressBar) show(text string) (err error) {
	switch {
	case b.terminal:
		b.shown = true
		_, err = fmt.Fprintf(b.to, "\r\x1b[K%s", text)
	case b.lines:
		_, err = fmt.Fprintln(b.to, text)
	}
	return err
}

func (b *progressBar) clear() {
	if b.shown {
		fmt.Fprint(b.to, "\r\x1b[K") // if the terminal was closed, the next line reports it
		b.shown = false
	}
}
