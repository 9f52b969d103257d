package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"
)

// imageData measures what a picture takes, in memory and processor time, when it is sent instead of its URL.
func (b *bench) imageData(ctx context.Context, s *section) error {
	const inSeries, atOnce = 20, 8
	ours, plain, custom := b.function, b.handwritten, b.custom
	ours.env = append(ours.env[:len(ours.env):len(ours.env)], "OCR_IMAGE_SOURCE=data")
	plain.env = append(plain.env[:len(plain.env):len(plain.env)], "BASELINE_SOURCE=data")
	custom.env = append(custom.env[:len(custom.env):len(custom.env)], "OCR_IMAGE_SOURCE=data")
	s.how = fmt.Sprintf("An image (random, so that it does not compress) sent as imgData: resident memory at its peak, less that of the idle process before, "+
		"as a multiple of the image size, and processor time per image; %d processes of each, taking turns, after 20 small images; medians. In series are %d images one after the other; "+
		"%d at once are on the custom runtime, three times in a row, and the memory is that for each of the %d. The handwritten program reads the whole image, encodes it, and builds the string to sign and the form in memory.",
		15, inSeries, atOnce, atOnce)
	s.columns("", "fc-idcard-ocr", plain.name, "ratio", "target", "CPU per image", plain.name)
	var idles []int64
	for _, size := range []int{1_500_000, 15_000_000} {
		picture := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(picture)
		for _, way := range []struct {
			name          string
			programs      []program
			rounds, width int
		}{
			{"one", []program{ours, plain}, 1, 1},
			{"in series", []program{ours, plain}, inSeries, 1},
			{"at once", []program{custom}, 3, atOnce},
		} {
			peaks, times := map[string][]float64{}, map[string][]float64{}
			for round := range b.repeat(15) {
				for _, p := range way.programs {
					prefix := fmt.Sprintf("data/%s/%d/%s/%d", way.name, size, p.name, round)
					figures, err := b.pictures(ctx, p, prefix, picture, way.rounds, way.width)
					if err != nil {
						return err
					}
					peaks[p.name] = append(peaks[p.name], float64(figures.peak-figures.idle)/float64(size*way.width))
					times[p.name] = append(times[p.name], figures.seconds*1000/float64(way.rounds*way.width))
					if p.name == ours.name {
						idles = append(idles, figures.idle)
					}
				}
			}
			first, last := way.programs[0].name, way.programs[len(way.programs)-1].name
			mine, theirs := median(peaks[first]), median(peaks[last])
			row := []string{fmt.Sprintf("%.1f MB, %s", float64(size)/1e6, way.name), fmt.Sprintf("%.2f × the image", mine), fmt.Sprintf("%.2f × the image", theirs),
				fmt.Sprintf("%.2f", mine/theirs), checkTarget(mine, 1.5, "%.1f × the image"), fmt.Sprintf("%.1f ms", median(times[first])), fmt.Sprintf("%.1f ms", median(times[last]))}
			if len(way.programs) == 1 {
				row[2], row[3], row[6] = "", "", ""
			}
			s.row(row...)
		}
	}
	s.row("idle", mebibytes(median(idles)), "", "", "", "", "")
	return nil
}

type pictureFigures struct {
	idle, peak int64
	seconds    float64 // of the processor
}

// pictures sends a picture so many times in a row, always so many at once, to a new process.
func (b *bench) pictures(ctx context.Context, p program, prefix string, picture []byte, rounds, width int) (f pictureFigures, err error) {
	process, err := start(ctx, p)
	if err != nil {
		return f, err
	}
	defer process.stop()
	if _, _, err := b.series(ctx, process, prefix, 20); err != nil {
		return f, err
	}
	if f.idle, _, err = process.memory(); err != nil {
		return f, err
	}
	if err := process.resetPeak(); err != nil {
		return f, err
	}
	before, err := process.cpu()
	if err != nil {
		return f, err
	}
	for round := range rounds {
		group, ctx := errgroup.WithContext(ctx)
		for i := range width {
			event := b.cloud.upload(fmt.Sprintf("%s/large-%d-%d.jpg", prefix, round, i), picture)
			group.Go(func() error { return process.deliver(ctx, event) })
		}
		if err := group.Wait(); err != nil {
			return f, err
		}
	}
	if _, f.peak, err = process.memory(); err != nil {
		return f, err
	}
	after, err := process.cpu()
	f.seconds = (after - before).Seconds()
	return f, err
}
