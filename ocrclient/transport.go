package ocrclient

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// readBody reads a body up to maxAnswerBytes and one more.
func readBody(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err == nil && strings.EqualFold(strings.TrimSpace(resp.Header.Get("Content-Encoding")), "gzip") {
		body = gunzip(body)
	}
	return body, err
}

// gunzip returns what is in a body that came in gzip. It was not asked for, but it is paid for all the same. A body that
// is no gzip is returned as it is, and of a cut one its beginning.
func gunzip(body []byte) []byte {
	plain, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	inside, _ := io.ReadAll(io.LimitReader(plain, maxAnswerBytes+1)) // parsing finds out what is missing
	return inside
}

var errNoRoute = errors.New("the way there is not usable; are the proxy's variables right?")

// sanitizeAddress drops the text of errors before a connection that quote a setting, such as a proxy's address with its
// password, or what a proxy said.
func sanitizeAddress(err error) error {
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &network) || errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errNoRoute
}
