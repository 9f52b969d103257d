// Package loopback guards HTTP services that listen on loopback against web pages: a page that anybody opens can make the
// browser call them, across origins or under a host name of the page's own (DNS rebinding). It never lets such a call through.
package loopback

import (
	"errors"
	"net"
	"net/http"
	"strings"
)

// ErrHost is the error for a request whose Host header names no loopback address.
var ErrHost = errors.New("the Host header names no loopback address; accepted are 127.0.0.1, [::1] and localhost")

// IsHost reports whether a Host header, with or without a port, names a loopback address.
func IsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// RequireHost passes on what names a loopback address as its host. refuse answers the rest.
func RequireHost(next http.Handler, refuse func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsHost(r.Host) {
			refuse(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RequireSameOrigin is RequireHost, and refuses what changes something and comes from a page of another origin.
func RequireSameOrigin(next http.Handler, refuse func(http.ResponseWriter, *http.Request)) http.Handler {
	return RequireHost(http.NewCrossOriginProtection().Handler(next), refuse)
}
