package main

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// imageData measures the memory for one image that is sent as data instead of as a URL.
func (b *bench) imageData(ctx context.Context, s *section) error {
	const size = 1_500_000
	s.how = "An image of 1.5 MB (random, so that it does not compress) sent as imgData: peak resident memory minus that of the idle process before, " +
		"as a multiple of the image size; median of 15 processes of each program, alternating, after 20 small images. The handwritten program reads the whole image, encodes it, and builds the string to sign and the form in memory."
	s.columns("", "fc-idcard-ocr", b.handwritten.name, "ratio", "target")
	ours, plain := b.function, b.handwritten
	ours.env = append(ours.env[:len(ours.env):len(ours.env)], "OCR_IMAGE_SOURCE=data")
	plain.env = append(plain.env[:len(plain.env):len(plain.env)], "BASELINE_SOURCE=data")
	picture := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(picture)
	peaks, idles := map[string][]float64{}, map[string][]int64{}
	for round := range b.repeat(15) {
		for _, p := range []program{ours, plain} {
			process, err := start(ctx, p)
			if err != nil {
				return err
			}
			prefix := fmt.Sprintf("data/%s/%d", p.name, round)
			if _, _, err := b.series(ctx, process, prefix, 20); err != nil {
				return err
			}
			idle, _, err := process.memory()
			if err != nil {
				return err
			}
			if err := process.resetPeak(); err != nil {
				return err
			}
			if err := process.deliver(ctx, b.cloud.upload(prefix+"/large.jpg", picture)); err != nil {
				return err
			}
			_, peak, err := process.memory()
			if err != nil {
				return err
			}
			process.stop()
			peaks[p.name] = append(peaks[p.name], float64(peak-idle)/size)
			idles[p.name] = append(idles[p.name], idle)
		}
	}
	mine, theirs := median(peaks[ours.name]), median(peaks[plain.name])
	s.row("peak minus idle", fmt.Sprintf("%.2f × the image", mine), fmt.Sprintf("%.2f × the image", theirs), fmt.Sprintf("%.2f", mine/theirs), checkTarget(mine, 1.5, "%.1f × the image"))
	s.row("idle", mebibytes(median(idles[ours.name])), mebibytes(median(idles[plain.name])), "", "")
	return nil
}
