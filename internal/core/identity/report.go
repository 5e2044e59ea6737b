package identity

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Report is a credential report, CSV as AWS writes it (IAM user guide, "Getting
// credential reports for your AWS account").
type Report struct {
	Generated time.Time
	Content   []byte
}

// reportLife is how long a report is valid.
const reportLife = 4 * time.Hour

// The report is stored under:
//
//	i/x/ACCOUNT
func reportKey(account string) []byte { return record.Key("i/x/", account) }

const (
	fieldReportGenerated = 1
	fieldReportContent   = 2
)

func readReport(r kv.Reader, account string) (*Report, error) {
	v, err := r.Get(reportKey(account))
	if err != nil || v == nil {
		return nil, err
	}
	out := &Report{}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldReportGenerated:
			out.Generated = f.Time()
		case fieldReportContent:
			out.Content = append([]byte(nil), f.Bytes...)
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return nil, record.Malformed("credential report of " + account)
	}
	return out, nil
}

// GenerateReport creates a credential report, unless one was created in the last four
// hours, and reports whether it did. It needs iam:GenerateCredentialReport.
func (s *Store) GenerateReport(ctx context.Context, g authz.Grant) (made bool, err error) {
	if err := g.Demand("iam:GenerateCredentialReport", arn.Any()); err != nil {
		return false, err
	}
	account, err := CallerAccount(g)
	if err != nil {
		return false, err
	}
	err = change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		made = false
		old, err := readReport(tx, account)
		if err != nil {
			return err
		}
		if old != nil && Instant(g).Sub(old.Generated) < reportLife {
			return change.ErrUnchanged
		}
		content, err := s.writeReport(tx, account)
		if err != nil {
			return err
		}
		r := record.Time(record.Start(nil), fieldReportGenerated, Instant(g))
		tx.Set(reportKey(account), record.Bytes(r, fieldReportContent, content))
		made = true
		return nil
	})
	return made, err
}

// GetReport returns the credential report. It needs iam:GetCredentialReport.
// Errors: ReportNotPresent, ReportExpired.
func (s *Store) GetReport(ctx context.Context, g authz.Grant) (out *Report, err error) {
	if err := g.Demand("iam:GetCredentialReport", arn.Any()); err != nil {
		return nil, err
	}
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		out, err = readReport(r, account)
		switch {
		case err != nil:
			return err
		case out == nil:
			return fault.Of(fault.ReportNotPresent)
		case Instant(g).Sub(out.Generated) >= reportLife:
			return fault.Of(fault.ReportExpired)
		}
		return nil
	})
	return out, err
}

func (s *Store) writeReport(r kv.Reader, account string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := []string{
		"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed",
		"password_next_rotation", "mfa_active",
	}
	for _, n := range []string{"1", "2"} {
		k := "access_key_" + n
		header = append(header, k+"_active", k+"_last_rotated", k+"_last_used_date", k+"_last_used_region",
			k+"_last_used_service")
	}
	w.Write(append(header, "cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"))
	a, found, err := readAccount(r, account)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, record.Malformed("account " + account)
	}
	root := []string{
		"<root_account>", arn.Root(account).String(), stamp(a.Created), "not_supported", "no_information",
		"not_supported", "not_supported",
	}
	if err := s.writeRow(w, r, account, "", root, a.RootKeys); err != nil {
		return nil, err
	}
	for id, err := range IDs(r, account, User) {
		if err != nil {
			return nil, err
		}
		u, err := ReadEntity(r, id)
		if err != nil {
			return nil, err
		}
		if u == nil {
			return nil, record.Malformed("user " + id)
		}
		row := []string{u.Name, u.ARN().String(), stamp(u.Created), "false", "N/A", "N/A", "N/A"}
		if err := s.writeRow(w, r, account, u.ID, row, u.Keys); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "N/A"
	}
	return t.UTC().Format("2006-01-02T15:04:05+00:00")
}

// writeRow writes the columns that all users have; userID is empty for the root user.
func (s *Store) writeRow(w *csv.Writer, r kv.Reader, account, userID string, row, ids []string) error {
	devices, err := s.devices.Owned(r, account, userID)
	if err != nil {
		return err
	}
	row = append(row, strconv.FormatBool(devices > 0))
	keys, err := readKeys(r, ids)
	if err != nil {
		return err
	}
	for i := range maxKeysPerUser {
		if i >= len(keys) {
			row = append(row, "false", "N/A", "N/A", "N/A", "N/A")
			continue
		}
		use, err := s.lastUse(r, keys[i].AccessKeyID)
		if err != nil {
			return err
		}
		region, service := "N/A", "N/A"
		if !use.At.IsZero() {
			region, service = use.Region, use.Service
		}
		row = append(row, strconv.FormatBool(keys[i].Active), stamp(keys[i].Created), stamp(use.At), region, service)
	}
	return w.Write(append(row, "false", "N/A", "false", "N/A"))
}
