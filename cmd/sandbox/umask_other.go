//go:build !unix

package main

// restrictFiles does nothing where there is no umask: folders pass their permissions on.
func restrictFiles() {}
