// Package operator has the commands of the operator, who owns the data directory: the
// handlers in the running server, the client, and the shapes that both share. Commands use
// a Unix socket inside the data directory, which only the owner of the data can open. A
// command is one file here and its flags in cmd. It must never know how the server is
// wired, and no package that serves network requests may import it.
package operator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/cdn"
	"watertight/internal/core/identity"
	"watertight/internal/core/kms"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/core/simulate"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
	"watertight/internal/rotation"
	"watertight/internal/storage/rootkey"
)

// Options are what the commands work on.
type Options struct {
	Identities *identity.Operator
	Simulator  *simulate.Operator
	Buckets    *bucket.Operator
	Objects    *object.Operator
	Lifecycle  *object.Lifecycle
	Keys       *kms.Operator
	CDN        *cdn.Operator
	Edge       func() CDNEdge // the edge of this process
	Devices    *mfa.Operator
	Region     string // of this server
	Alarm      *alarm.Counter
	Trail      *audit.Log
	Health     func(context.Context) Health
	RootKey    *rootkey.Keyring
	Rotation   *rotation.Rotation
	Files      func() []object.Finding // about files of the data directory that are not blobs
	Snapshot   func(context.Context, func(Snapshot) error) error
	// Ending ends when the server begins to stop: long commands end with it.
	Ending context.Context
}

// commands answers the operator's commands.
type commands struct{ Options }

// Handler answers the commands that Client sends.
func Handler(o Options) http.Handler {
	c, m := commands{o}, http.NewServeMux()
	for _, add := range []func(*http.ServeMux){
		c.accounts, c.publicAccess, c.policyPreview, c.health, c.scrubbing, c.backups, c.rootKey,
		c.customersKeys, c.rollbacks, c.mfaDevices, c.history, c.freezes, c.lifecyclePreview, c.edges,
		c.network,
	} {
		add(m)
	}
	return m
}

// call is one running command.
type call struct {
	record *audit.Record   // its audit event, which core commits with a change
	at     time.Time       // the time by which the command is decided
	next   func(any) error // for a long command: reads what the client sends next
}

// begin starts a command; operation is the name of its event.
func (c commands) begin(operation string) *call {
	cl := &call{at: time.Now()}
	cl.record = c.Trail.Begin(protocol.NewRequestID(), cl.at)
	cl.record.Event.Operation = action.OperationOf("watertight", operation)
	cl.record.Event.Identity = audit.Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "operator"}}
	return cl
}

// param adds a parameter to the event.
func (c *call) param(name, value string) {
	c.record.Event.Parameters = append(c.record.Event.Parameters, audit.Param{Name: name, Value: value})
}

// refusal is the response to a failed command. It may contain a cause.
type refusal struct {
	Code, Message string
	Stopping      bool `json:",omitempty"` // the server stops, so it canceled the command
}

// maxBody bounds a command, in bytes.
const maxBody = 1 << 20

// handle serves a command: decode, execute, audit, respond. operation is the name of its event.
func handle[In, Out any](
	c commands, operation string, do func(context.Context, *call, In) (Out, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		cl := c.begin(hr.Method + " " + hr.URL.Path)
		r := cl.record
		var in In
		var out Out
		err := json.NewDecoder(io.LimitReader(hr.Body, maxBody)).Decode(&in)
		if err == nil || errors.Is(err, io.EOF) {
			r.Event.Operation = action.OperationOf("watertight", operation)
			out, err = do(hr.Context(), cl, in)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			f := fault.From(err)
			r.Finish(audit.Outcome{Err: f})
			w.WriteHeader(f.Kind.Status())
			json.NewEncoder(w).Encode(refused(f, err)) // a client that disconnected needs no answer
			return
		}
		r.Finish(audit.Outcome{})
		json.NewEncoder(w).Encode(out)
	}
}
