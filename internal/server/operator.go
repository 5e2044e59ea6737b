package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// The operator's commands come over a Unix socket in the data directory:
// whoever may open it owns the data anyway, and no such door is on the network.

// maxSocketPath is the longest path every system takes, in bytes.
const maxSocketPath = 100

// socket is where the operator's socket of a data directory lies: always inside
// it, where nobody else can make one. path is good until Close.
type socket struct {
	path string
	dir  *os.File // by which path goes where it is too long by itself; or nil
}

func socketOf(data string) (socket, error) {
	abs, err := filepath.Abs(data)
	if err != nil {
		return socket{}, err
	}
	if path := filepath.Join(abs, "operator.sock"); len(path) <= maxSocketPath {
		return socket{path: path}, nil
	}
	d, err := os.Open(abs)
	if err != nil {
		return socket{}, err
	}
	path, err := pathBy(d)
	if err != nil {
		return socket{}, errors.Join(err, d.Close())
	}
	return socket{path: filepath.Join(path, "operator.sock"), dir: d}, nil
}

func (s socket) Close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// listenOperator binds the socket. The data directory is locked by now, so
// that one which is there was left behind.
func (s *Server) listenOperator(context.Context) error {
	at, err := socketOf(s.config.Data)
	if err != nil {
		return fmt.Errorf("the operator's socket: %w", err)
	}
	if err := os.Remove(at.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the operator's socket: %w", errors.Join(err, at.Close()))
	}
	l, err := net.Listen("unix", at.path)
	if err != nil {
		return fmt.Errorf("the operator's socket: %w", errors.Join(err, at.Close()))
	}
	s.operator = trustedPeers{l, at}
	if err := os.Chmod(at.path, 0o600); err != nil {
		return fmt.Errorf("the operator's socket: %w", err) // and Close ends it
	}
	return nil
}

// trustedPeers drops connections of other users, whatever the modes of the
// socket and its directory became.
type trustedPeers struct {
	net.Listener
	at socket
}

// Close removes the socket.
func (l trustedPeers) Close() error { return errors.Join(l.Listener.Close(), l.at.Close()) }

func (l trustedPeers) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || checkPeer(c) == nil {
			return c, err
		}
		c.Close()
	}
}

// NewAccount is an account and the access key of its root user, shown once.
type NewAccount struct {
	AccountID       string `json:"AccountId"`
	Name            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
}

// Account is an account as the operator sees it.
type Account struct {
	AccountID string `json:"AccountId"`
	Name      string
	Created   time.Time
}

// refusal is what the operator is told; it may hold a cause.
type refusal struct{ Code, Message string }

func (s *Server) operatorHandler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /accounts", operate(s, func(ctx context.Context, r *audit.Record, _ struct{}) ([]Account, error) {
		r.Event.Operation = "ListAccounts"
		all, err := s.identities.Accounts(ctx)
		out := make([]Account, 0, len(all))
		for _, a := range all {
			out = append(out, Account{AccountID: a.ID, Name: a.Name, Created: a.Created})
		}
		return out, err
	}))
	m.HandleFunc("POST /accounts", operate(s, func(ctx context.Context, r *audit.Record, in NewAccount) (NewAccount, error) {
		r.Event.Operation = "CreateAccount"
		r.Event.Parameters = append(r.Event.Parameters, audit.Param{Name: "name", Value: in.Name})
		a, k, err := s.identities.CreateAccount(ctx, r, in.Name, time.Now())
		return NewAccount{a.ID, a.Name, k.AccessKeyID, k.Secret}, err
	}))
	m.HandleFunc("POST /root-keys", operate(s, func(ctx context.Context, r *audit.Record, in NewAccount) (NewAccount, error) {
		r.Event.Operation, r.Event.Owner = "ResetRootKeys", in.AccountID
		r.Event.Parameters = append(r.Event.Parameters, audit.Param{Name: "accountId", Value: in.AccountID})
		k, err := s.identities.ResetRootKeys(ctx, r, in.AccountID, time.Now())
		return NewAccount{AccountID: in.AccountID, AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret}, err
	}))
	m.HandleFunc("GET /health", s.operatorHealth)
	s.publicCommands(m)
	return m
}

// maxOperatorBody bounds a command, in bytes.
const maxOperatorBody = 1 << 20

// operate is the way of every command: decode, do, audit, answer.
func operate[In, Out any](s *Server, do func(context.Context, *audit.Record, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		r := s.trail.Begin(protocol.NewRequestID(), time.Now())
		r.Event.Service, r.Event.Operation = "watertight", hr.Method+" "+hr.URL.Path
		r.Event.Identity = audit.Identity{Principal: policy.Principal{Kind: policy.Service, Name: "operator"}}
		var in In
		err := json.NewDecoder(io.LimitReader(hr.Body, maxOperatorBody)).Decode(&in)
		if err == io.EOF {
			err = nil
		}
		var out Out
		if err == nil {
			out, err = do(hr.Context(), r, in)
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			f := fault.From(err)
			r.Finish(audit.Outcome{Err: f})
			message := f.Message
			if f.Kind == fault.Internal { // the operator may read the cause
				message = err.Error()
			}
			w.WriteHeader(protocol.StatusOf(f.Kind))
			json.NewEncoder(w).Encode(refusal{f.Code, message}) // a client that is gone needs no answer
			return
		}
		r.Finish(audit.Outcome{})
		json.NewEncoder(w).Encode(out)
	}
}
