package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// startup measures a cold start: the time from the start of a process to its first poll, and the time of its first image, with
// and without the initializer.
func (b *bench) startup(ctx context.Context, s *section) error {
	const starts, blocks = 40, 5
	s.how = fmt.Sprintf("Time from the start of the process to its first poll of the runtime API: median of %d starts of each program, alternating, GOMAXPROCS=1, files in the page cache. ", starts*blocks) +
		"The target holds only if each of five blocks of starts meets it, so that noise does not decide. Time of the first image of a process, with and without the initializer: median of 21 processes each, OCR API over TLS."
	s.columns("", "fc-idcard-ocr", "baseline", "", "ratio", "target")
	times := map[string][]time.Duration{}
	var ratios []float64
	for range blocks {
		block := map[string][]time.Duration{}
		for range b.repeat(starts) {
			for _, p := range []program{b.function, b.bareSDK} {
				process, err := start(ctx, p)
				if err != nil {
					return err
				}
				process.stop()
				block[p.name] = append(block[p.name], process.started)
			}
		}
		for name, of := range block {
			times[name] = append(times[name], of...)
		}
		ratios = append(ratios, median(block[b.function.name]).Seconds()/median(block[b.bareSDK.name]).Seconds())
	}
	ours, baseline := median(times[b.function.name]), median(times[b.bareSDK.name])
	s.row("process start to first poll", milliseconds(ours), milliseconds(baseline), b.bareSDK.name,
		fmt.Sprintf("%.2f (%.2f to %.2f)", ours.Seconds()/baseline.Seconds(), slices.Min(ratios), slices.Max(ratios)), checkTarget(slices.Max(ratios), 1.4, "%.1f"))
	warm, cold, err := b.firstImages(ctx)
	if err != nil {
		return err
	}
	ratio, _ := compare(warm.Seconds(), cold.Seconds(), 0)
	s.row("first image after the initializer", milliseconds(warm), milliseconds(cold), "without initializer", ratio, "")
	s.note("Over loopback the initializer saves CPU time only (root certificates, one verification). On a fifth of a core it saves five times as much, and over the internet also a round trip and the name resolution.")
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
