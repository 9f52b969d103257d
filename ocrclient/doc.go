// Package ocrclient calls the ocrIdCard API of the Alibaba Cloud Market, which reads the front of a Chinese resident
// identity card: one [Client.Recognize] is exactly one HTTP request and at most one charge.
//
// It never retries on its own, never follows a redirect, and never puts a secret, a signed URL or anything read from a
// card into an error text. Whether a failed call may have been charged is said by [Error.Outcome]: whether the request can have
// reached the paid provider, and so whether sending it again can cost twice.
//
// The package imports nothing but the standard library and golang.org/x/text, which decodes answers in GB18030. Programs that use it
// are tested with package ocrclienttest.
package ocrclient
