package acl

import (
	"strings"

	"watertight/internal/fault"
)

// Accounts returns the account with a canonical user id; ok is false if there is none.
type Accounts func(canonical string) (account string, ok bool, err error)

// The types of grantees in a document.
const (
	TypeUser  = "CanonicalUser"
	TypeGroup = "Group"
	typeEmail = "AmazonCustomerByEmail"
)

// Written is a grant in the form of an ACL document.
type Written struct{ Type, ID, URI, Email, Permission string }

// Document returns the Request for an ACL document, from the owner that it names and its
// grants. Errors: MalformedACLError, InvalidArgument, MethodNotAllowed for a grantee named
// by e-mail address.
func Document(owner string, grants []Written, find Accounts) (Request, error) {
	if owner == "" || len(grants) > MaxGrants {
		return Request{}, malformed()
	}
	r := Request{Grants: make(List, 0, len(grants))}
	for _, w := range grants { // the syntax of all grants is checked before the meaning of any
		if err := w.check(); err != nil {
			return Request{}, err
		}
	}
	var err error
	if r.Owner, err = user(owner, "CanonicalUser/ID", find); err != nil {
		return Request{}, err
	}
	for _, w := range grants {
		g := Grant{Permission: Permission(w.Permission)}
		if w.Type == TypeGroup {
			g.Group, err = group(w.URI, "Group/URI")
		} else {
			g.Account, err = user(w.ID, "CanonicalUser/ID", find)
		}
		if err != nil {
			return Request{}, err
		}
		r.Grants = append(r.Grants, g)
	}
	return r, nil
}

func (w *Written) check() error {
	if !Permission(w.Permission).known() {
		return malformed()
	}
	switch w.Type {
	case TypeUser:
		if w.ID != "" && w.URI == "" && w.Email == "" {
			return nil
		}
	case TypeGroup:
		if w.URI != "" && w.ID == "" && w.Email == "" {
			return nil
		}
	case typeEmail:
		if w.Email != "" {
			return byEmail()
		}
	}
	return malformed()
}

// Header is one of the x-amz-grant-* headers.
type Header struct {
	Name, Value string
	Permission  Permission
}

// Headers returns the grants in headers: key="value", separated by commas; key is id, uri
// or emailAddress (S3 API reference, PutObjectAcl). It returns nil if there are none.
// Errors: InvalidArgument, MethodNotAllowed, MalformedACLError if there are too many.
func Headers(headers []Header, find Accounts) (List, error) {
	var l List
	for _, h := range headers {
		if h.Value == "" {
			continue
		}
		if strings.Count(h.Value, ",") >= MaxGrants {
			return nil, malformed()
		}
		for one := range strings.SplitSeq(h.Value, ",") {
			g, err := h.grant(strings.TrimSpace(one), find)
			if err != nil {
				return nil, err
			}
			l = append(l, g)
		}
	}
	if len(l) > MaxGrants {
		return nil, malformed()
	}
	return l, nil
}

func (h *Header) grant(text string, find Accounts) (g Grant, err error) {
	g.Permission = h.Permission
	key, value, ok := strings.Cut(text, "=")
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	switch strings.ToLower(strings.TrimSpace(key)) {
	case "id":
		g.Account, err = user(value, h.Name, find)
	case "uri":
		g.Group, err = group(value, h.Name)
	case "emailaddress":
		err = byEmail()
	default:
		ok = false
	}
	if !ok {
		return Grant{}, invalid("Argument format not recognized", h.Name, h.Value)
	}
	return g, err
}

func user(id, argument string, find Accounts) (string, error) {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		account, ok, err := find(id)
		if err != nil || ok {
			return account, err
		}
	}
	return "", invalid("Invalid id", argument, id)
}

func group(uri, argument string) (Group, error) {
	g, ok := groupOf(uri)
	if !ok {
		return "", invalid("Invalid group uri", argument, uri)
	}
	return g, nil
}

func invalid(message, argument, value string) error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", argument).With("ArgumentValue", value)
}

// byEmail is the error for grantees named by e-mail address, which S3 no longer accepts (S3
// API reference, PutBucketAcl: since October 2025).
func byEmail() error {
	return fault.New(fault.MethodNotAllowed, "Grantees can't be named by their e-mail address.").
		With("ResourceType", "ACL")
}

// BothGiven is the error for a request with both a canned ACL and grants.
func BothGiven() error {
	return fault.New(fault.InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
}

// NothingGiven is the error for a request to set an ACL that has none.
func NothingGiven() error {
	return fault.Of(fault.MissingSecurityHeader).With("MissingHeaderName", "x-amz-acl")
}

// HeaderAndDocument is the error for a request with an ACL in headers and another in a document.
func HeaderAndDocument() error {
	return fault.Of(fault.UnexpectedContent)
}
