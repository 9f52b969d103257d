// Package ocrclient calls the ocrIdCard API of the Alibaba Cloud Market, which reads the front of a Chinese resident
// identity card: one [Client.Recognize] is exactly one HTTP request and at most one charge.
//
// It never retries on its own, never follows a redirect, and never puts a secret, a signed URL or anything read from a
// card into an error text. What a failed call means for the purse is said by [Error.Class]: whether the request can have
// reached the paid provider, and so whether sending it again can cost twice.
//
// The package stands alone: it imports the standard library only.
package ocrclient
