// Package cloudfront is the dialect of CloudFront: its operation table, and thin handlers
// that translate between shapes and core. It must never know how a distribution is stored
// or served, or who may change it.
package cloudfront

import (
	"slices"

	"watertight/internal/core/cdn"
	"watertight/internal/gateway/dialect/restxml"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// API is CloudFront over the core.
type API struct{ CDN *cdn.Store }

// version is the version of the API, with which every path begins.
const version = "2020-05-31"

// Table returns the operations of CloudFront. All others are NotImplemented.
func (a *API) Table() dispatch.Table {
	return dispatch.Table{
		Service: protocol.Service{
			Name: "cloudfront", SigningName: "cloudfront", HomeRegion: "us-east-1", Rules: sigv4.APIRules,
		},
		Dialect: restxml.API{
			Version: version, Namespace: "http://cloudfront.amazonaws.com/doc/" + version + "/", Absent: absent(),
		}.Compile,
		Rows: slices.Concat(
			a.distributionRows(), a.userRows(), a.tagRows(), a.invalidationRows(), a.accessControlRows(),
			a.cachePolicyRows(), a.originRequestPolicyRows(), a.responseHeadersPolicyRows(), a.publicKeyRows(),
			a.keyGroupRows(),
		),
	}
}

// absent names the features of operations that are not supported here, by the second element
// of a path.
func absent() map[string]string {
	const (
		functions  = "CloudFront Functions and what belongs to them"
		encryption = "field-level encryption"
		logs       = "real-time logs; the edge writes access logs"
		tenants    = "distributions for several tenants"
		lists      = "this listing"
	)
	return map[string]string{
		"function": functions, "connection-function": functions, "connection-functions": functions,
		"key-value-store":        functions,
		"field-level-encryption": encryption, "field-level-encryption-profile": encryption,
		"origin-access-identity":       "origin access identities; use an origin access control",
		"streaming-distribution":       "streaming distributions",
		"continuous-deployment-policy": "continuous deployment",
		"realtime-log-config":          logs, "get-realtime-log-config": logs, "delete-realtime-log-config": logs,
		"distributions":       "monitoring subscriptions; the server has metrics",
		"distribution-tenant": tenants, "distribution-tenants": tenants,
		"distribution-tenants-by-customization": tenants, "connection-group": tenants, "connection-groups": tenants,
		"domain-association": tenants, "domain-conflicts": tenants, "verify-dns-configuration": tenants,
		"managed-certificate": "certificates of AWS Certificate Manager",
		"anycast-ip-list":     "lists of anycast addresses", "vpc-origin": "origins in a VPC",
		"trust-store": "trust stores", "trust-stores": "trust stores",
		"put-resource-policy": "resource policies", "get-resource-policy": "resource policies",
		"delete-resource-policy": "resource policies", "conflicting-alias": lists,
		"distributionsByAnycastIpListId": lists, "distributionsByConnectionFunction": lists,
		"distributionsByConnectionMode": lists, "distributionsByOwnedResource": lists,
		"distributionsByRealtimeLogConfig": lists, "distributionsByTrustStore": lists,
		"distributionsByVpcOriginId": lists, "distributionsByWebACLId": lists,
	}
}
