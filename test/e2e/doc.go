// Package e2e tests a real server with real clients: the AWS SDK for Go, the aws CLI and,
// for requests that no client sends, raw bytes.
package e2e
