package operator

import (
	"context"
	"net/http"
	"strings"
	"time"

	"watertight/internal/core/cdn"
)

// Edge is an edge on another machine.
type Edge struct {
	Name          string
	AccessKeyID   string   `json:"AccessKeyId"`
	AccountID     string   `json:"AccountId"`
	Distributions []string `json:",omitempty"` // ids; none means all of the account
	Created       time.Time
	Seen          *time.Time `json:",omitempty"` // its last request since the server started
	Generation    uint64     `json:",omitempty"` // what it serves
}

// NewEdge is an edge with its credential, shown once.
type NewEdge struct {
	Edge
	SecretAccessKey string
	Region          string
}

// EdgeCommand asks for a new edge, or for the removal of one by its name.
type EdgeCommand struct {
	Name          string
	AccountID     string
	Distributions []string // nil means all of the account
}

func shownEdge(e *cdn.Edge) Edge {
	out := Edge{
		Name: e.Name, AccessKeyID: e.AccessKeyID, AccountID: e.Account, Distributions: e.Only, Created: e.Created,
		Generation: e.Confirmed,
	}
	if !e.Seen.IsZero() {
		out.Seen = &e.Seen
	}
	return out
}

// Edges lists the edges on other machines.
func (c *Client) Edges(ctx context.Context) (out []Edge, err error) {
	return out, c.do(ctx, http.MethodGet, "/edges", nil, &out)
}

// EnrollEdge makes the credential of an edge.
func (c *Client) EnrollEdge(ctx context.Context, in EdgeCommand) (out NewEdge, err error) {
	return out, c.do(ctx, http.MethodPost, "/edges", in, &out)
}

// RemoveEdge removes the credential of an edge.
func (c *Client) RemoveEdge(ctx context.Context, name string) (out Edge, err error) {
	return out, c.do(ctx, http.MethodPost, "/edges/remove", EdgeCommand{Name: name}, &out)
}

func (c commands) edges(m *http.ServeMux) {
	m.HandleFunc("GET /edges", handle(c, "ListEdges", c.listEdges))
	m.HandleFunc("POST /edges", handle(c, "EnrollEdge", c.enrollEdge))
	m.HandleFunc("POST /edges/remove", handle(c, "RemoveEdge", c.removeEdge))
}

func (c commands) listEdges(ctx context.Context, _ *call, _ struct{}) ([]Edge, error) {
	all, err := c.CDN.Edges(ctx)
	out := make([]Edge, 0, len(all))
	for i := range all {
		out = append(out, shownEdge(&all[i]))
	}
	return out, err
}

func (c commands) enrollEdge(ctx context.Context, cl *call, in EdgeCommand) (NewEdge, error) {
	cl.record.Event.Owner = in.AccountID
	cl.param("name", in.Name)
	cl.param("accountId", in.AccountID)
	cl.param("distributions", strings.Join(in.Distributions, ","))
	if err := c.checkAccount(ctx, in.AccountID); err != nil {
		return NewEdge{}, err
	}
	e, secret, err := c.CDN.EnrollEdge(ctx, cl.record, cdn.EnrolInput{
		Name: in.Name, Account: in.AccountID, Only: in.Distributions, At: cl.at,
	})
	return NewEdge{shownEdge(&e), secret, c.Region}, err
}

func (c commands) removeEdge(ctx context.Context, cl *call, in EdgeCommand) (Edge, error) {
	cl.param("name", in.Name)
	e, err := c.CDN.RemoveEdge(ctx, cl.record, in.Name)
	return shownEdge(&e), err
}
