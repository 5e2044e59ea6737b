// Package e2e drives a real server with real clients: the AWS SDK for Go, the
// aws CLI and, where a client would not send such a thing, raw bytes.
package e2e
