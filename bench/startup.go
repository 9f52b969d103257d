package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"
)

// startup measures what a new instance takes: the time from the start of a process to its first question for work, and its
// first image, with and without the initializer.
func (b *bench) startup(ctx context.Context, s *section) error {
	s.how = "From the start of the process to its first poll of the runtime API, 41 starts of each, taking turns; medians, the files being in the page cache. " +
		"Then the first image of 21 processes each, the OCR API behind TLS, after the initializer and without it."
	s.columns("", "fc-idcard-ocr", "floor", "", "ratio", "target")
	times := map[string][]time.Duration{}
	for range b.repeat(41) {
		for _, p := range []program{b.function, b.bare} {
			process, err := start(ctx, p)
			if err != nil {
				return err
			}
			process.stop()
			times[p.name] = append(times[p.name], process.started)
		}
	}
	ours, floor := median(times[b.function.name]), median(times[b.bare.name])
	ratio, verdict := against(ours.Seconds(), floor.Seconds(), 1.2)
	s.row("process start to first poll", milliseconds(ours), milliseconds(floor), b.bare.name, ratio, verdict)
	warm, cold, err := b.firstImages(ctx)
	if err != nil {
		return err
	}
	ratio, _ = against(warm.Seconds(), cold.Seconds(), 0)
	s.row("first image after the initializer", milliseconds(warm), milliseconds(cold), "without it", ratio, "")
	s.note("On a loopback connection the initializer saves processor time only (root certificates, one verification); on a fifth of a core that is five times as long, and on the internet a round trip and the look-up of the name come on top.")
	return nil
}

// firstImages measures the first image of new processes over TLS.
func (b *bench) firstImages(ctx context.Context) (warm, cold time.Duration, err error) {
	secure := httptest.NewTLSServer(b.cloud)
	defer secure.Close()
	roots, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt") // so that loading them costs what it costs elsewhere
	if err != nil && !os.IsNotExist(err) {
		return 0, 0, err
	}
	file := filepath.Join(b.dir, "roots.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(file, bytes.Join([][]byte{roots, certificate}, []byte("\n")), 0o600); err != nil {
		return 0, 0, err
	}
	p := b.function
	p.env = append(p.env[:len(p.env):len(p.env)], "OCR_ENDPOINT="+secure.URL+"/ocrIdCard", "SSL_CERT_FILE="+file)
	var with, without []time.Duration
	for round := range b.repeat(21) {
		for initialize, times := range map[bool]*[]time.Duration{true: &with, false: &without} {
			process, err := start(ctx, p)
			if err != nil {
				return 0, 0, err
			}
			if initialize {
				if err := process.initialize(ctx); err != nil {
					return 0, 0, err
				}
			}
			_, took, err := b.series(ctx, process, fmt.Sprintf("first/%d/%t", round, initialize), 1)
			process.stop()
			if err != nil {
				return 0, 0, err
			}
			*times = append(*times, took)
		}
	}
	return median(with), median(without), nil
}
