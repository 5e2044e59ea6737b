package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// MalformedPolicy returns the error for an invalid document: IAM's sentence, and the
// position in the document.
func MalformedPolicy(err error) error {
	message := "Syntax errors in policy."
	if e, ok := errors.AsType[*policy.Error](err); ok {
		switch {
		case e.Problem == policy.TooLong:
			return fault.New(fault.LimitExceeded, strings.ToUpper(e.Text[:1])+e.Text[1:]+".").Because(err)
		case e.Problem == policy.BadSyntax && e.Path == "":
			message = "This policy contains invalid Json: " + e.Text
		default:
			message = sentence(e) + " " + e.Path + ": " + e.Text
		}
	}
	return fault.New(fault.MalformedPolicyDocument, message).Because(err)
}

// sentence returns IAM's sentence for a problem.
func sentence(e *policy.Error) string {
	element := e.Path[strings.LastIndexByte(e.Path, '.')+1:]
	switch {
	case e.Problem == policy.MissingElement && element == "Action":
		return "Policy statement must contain actions."
	case e.Problem == policy.MissingElement && element == "Resource":
		return "Policy statement must contain resources."
	case e.Problem == policy.UnknownElement && strings.HasSuffix(element, "Principal"):
		return "Policy document should not specify a principal."
	}
	return "Syntax errors in policy."
}

func tooMuchInline(e *Entity, most int) error {
	return fault.New(fault.LimitExceeded,
		fmt.Sprintf("Maximum policy size of %d bytes exceeded for %s %s", most, e.Kind.lower(), e.Name))
}

func noSuchInline(k EntityKind, name string) error {
	return noSuch("The %s policy with name %s cannot be found.", k.lower(), name)
}

func (e *Entity) inline(name string) int {
	return slices.IndexFunc(e.Inline, func(p Inline) bool { return strings.EqualFold(p.Name, name) })
}

// PutInline writes an inline policy of an entity. It needs iam:PutUserPolicy,
// iam:PutGroupPolicy or iam:PutRolePolicy. Errors: NoSuchEntity, MalformedPolicyDocument,
// LimitExceeded.
func (s *Store) PutInline(ctx context.Context, g authz.Grant, k EntityKind, name string, p Inline) error {
	return s.modify(ctx, g, policy.Action("iam:Put"+k.String()+"Policy"), k, name, func(_ kv.Tx, e *Entity) error {
		if err := CheckName(p.Name); err != nil {
			return err
		}
		size := policy.Size([]byte(p.Document))
		if _, _, most := k.quota(); size > most {
			return tooMuchInline(e, most)
		}
		if _, err := checkDocument(p.Document); err != nil {
			return err
		}
		if i := e.inline(p.Name); i >= 0 {
			e.Inline[i].Document = p.Document
		} else {
			e.Inline = append(e.Inline, p)
		}
		size = 0
		for _, q := range e.Inline {
			size += policy.Size([]byte(q.Document))
		}
		if _, _, most := k.quota(); size > most {
			return tooMuchInline(e, most)
		}
		return nil
	})
}

// DeleteInline removes an inline policy of an entity. It needs iam:DeleteUserPolicy,
// iam:DeleteGroupPolicy or iam:DeleteRolePolicy. Errors: NoSuchEntity.
func (s *Store) DeleteInline(ctx context.Context, g authz.Grant, k EntityKind, name, policyName string) error {
	return s.modify(ctx, g, policy.Action("iam:Delete"+k.String()+"Policy"), k, name, func(_ kv.Tx, e *Entity) error {
		i := e.inline(policyName)
		if i < 0 {
			return noSuchInline(k, policyName)
		}
		e.Inline = slices.Delete(e.Inline, i, i+1)
		return nil
	})
}

// GetInline returns an inline policy and its entity. It needs iam:GetUserPolicy,
// iam:GetGroupPolicy or iam:GetRolePolicy. Errors: NoSuchEntity.
func (s *Store) GetInline(
	ctx context.Context, g authz.Grant, k EntityKind, name, policyName string,
) (out Inline, of *Entity, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:Get"+k.String()+"Policy"), k, name, func(_ kv.Reader, e *Entity) error {
		i := e.inline(policyName)
		if i < 0 {
			return noSuchInline(k, policyName)
		}
		out, of = e.Inline[i], e
		return nil
	})
	return out, of, err
}

// ListInline returns a page of the names of an entity's inline policies. It needs
// iam:ListUserPolicies, iam:ListGroupPolicies or iam:ListRolePolicies. Errors:
// NoSuchEntity.
func (s *Store) ListInline(
	ctx context.Context, g authz.Grant, k EntityKind, name string, p page.Request,
) (names []string, next string, err error) {
	err = s.inspect(ctx, g, policy.Action("iam:List"+k.String()+"Policies"), k, name,
		func(_ kv.Reader, e *Entity) error {
			for _, q := range e.Inline {
				names = append(names, q.Name)
			}
			slices.SortFunc(names, func(a, b string) int {
				return strings.Compare(strings.ToLower(a), strings.ToLower(b))
			})
			names, next, err = page.Cut(names, func(n *string) string { return strings.ToLower(*n) }, p,
				"inline\x00"+e.ID)
			return err
		})
	return names, next, err
}
