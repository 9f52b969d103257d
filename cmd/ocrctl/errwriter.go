package main

import "io"

// errWriter is standard output that remembers what could not be written, so that no command ends well whose result nobody got:
// a full disk behind a redirection is reported by the writes only.
type errWriter struct {
	to  io.Writer
	err error // the first
}

// Write passes p on.
func (s *errWriter) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
