//go:build unix

package main

import "syscall"

// restrictFiles makes files and folders that this process and its children create accessible to nobody else: pictures of cards are
// among them.
func restrictFiles() { syscall.Umask(0o077) }
