package main

import (
	"bufio"
	"errors"
	"strings"

	"watertight/internal/datadir"
)

// auditCommands read the files of the audit log themselves: they need the root
// key, not a running server.
type auditCommands struct {
	Verify auditVerify `cmd:"" help:"Verify every file of the audit log: seals, chain, sizes. Prints a summary as JSON."`
	Export auditExport `cmd:"" help:"Verify the audit log and print its events, one line of JSON each."`
	Accept auditAccept `cmd:"" name:"accept-loss" help:"Let a server start again after its audit log was cut, damaged or lost. What is missing stays missing, which the next event records. The server must not be running."`
}

// sealedData names a data directory and its root key.
type sealedData struct {
	running
	RootKey string `help:"Where the root key comes from; see serve." default:"${rootkey}" env:"WATERTIGHT_ROOT_KEY" placeholder:"SOURCE"`
}

func (s *sealedData) options(p process) datadir.Options {
	return datadir.Options{
		Data: s.Data, RootKey: s.RootKey, Getenv: p.getenv, Logger: newLogger(p.stderr, "warn", "text"),
	}
}

// auditFiles says which files are read.
type auditFiles struct {
	sealedData
	Log string `help:"Folder of the files, if not that of the data directory: an archive." placeholder:"DIR"`
}

type auditVerify struct{ auditFiles }

// Run verifies the log.
func (c *auditVerify) Run(p process) error {
	sum, err := datadir.ReadAudit(p.ctx, c.options(p), c.Log, func([]byte) error { return nil })
	if err != nil {
		return err
	}
	return printJSON(p, sum)
}

type auditExport struct{ auditFiles }

// Run prints the events.
func (c *auditExport) Run(p process) error {
	out := bufio.NewWriter(p.stdout)
	_, err := datadir.ReadAudit(p.ctx, c.options(p), c.Log, func(json []byte) error {
		if _, err := out.Write(json); err != nil {
			return err
		}
		return out.WriteByte('\n')
	})
	return errors.Join(err, out.Flush())
}

type auditAccept struct {
	sealedData
	Region string `help:"Region of all buckets." default:"us-east-1" env:"WATERTIGHT_REGION"`
	Reason string `help:"Why the log is not whole; recorded in the log." required:"" placeholder:"TEXT"`
}

// Run accepts the loss.
func (c *auditAccept) Run(p process) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usageError{errors.New("--reason must not be empty")}
	}
	options := c.options(p)
	options.Region = c.Region
	loss, err := datadir.AcceptAuditLoss(p.ctx, options, c.Reason)
	if err != nil {
		return err
	}
	return printJSON(p, loss)
}
