package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// manyImages measures one instance of the custom runtime with as many concurrent images as FC allows.
func (b *bench) manyImages(ctx context.Context, s *section) error {
	const atOnce, latency = 100, time.Second
	images := atOnce * b.repeat(20)
	s.how = fmt.Sprintf("One instance of the custom runtime, %d images, %d of them concurrent, OCR API latency %s. "+
		"The ideal is the time that the API alone would take. The measuring process and its cloud share the cores.", images, atOnce, latency)
	s.columns("", "measured", "ideal", "ratio", "target")
	process, err := start(ctx, b.custom)
	if err != nil {
		return err
	}
	if _, _, err := b.series(ctx, process, "many/warm", 20); err != nil {
		return err
	}
	before := b.cloud.documents()
	b.cloud.latency = latency
	defer func() { b.cloud.latency = 0 }()
	queue := make(chan []byte, images)
	for i := range images {
		queue <- b.cloud.upload(fmt.Sprintf("many/%06d.jpg", i), []byte("picture"))
	}
	close(queue)
	var group errgroup.Group
	began := time.Now()
	for range atOnce {
		group.Go(func() error {
			for event := range queue {
				if err := process.deliver(ctx, event); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	took := time.Since(began)
	_, peak, err := process.memory()
	if err != nil {
		return err
	}
	if written := b.cloud.documents() - before; written != images {
		return fmt.Errorf("%d documents of %d", written, images)
	}
	ideal := time.Duration(images/atOnce) * latency
	ratio, verdict := compare(took.Seconds(), ideal.Seconds(), 1.1)
	s.row(fmt.Sprintf("%d images", images), fmt.Sprintf("%.2f s", took.Seconds()), fmt.Sprintf("%.2f s", ideal.Seconds()), ratio, verdict)
	s.row("peak resident memory", mebibytes(peak), "", "", checkTarget(float64(peak)/(1<<20), 128, "%.0f MiB"))
	stacks := strings.Split(process.stacks(), "\n\n")
	if !slices.ContainsFunc(stacks, func(stack string) bool { return strings.Contains(stack, "main.serve(") }) {
		return errors.New("the process printed no stacks")
	}
	left := 0
	for _, stack := range stacks {
		if working.MatchString(stack) {
			left++
		}
	}
	s.row("goroutines left in the packages of the function", fmt.Sprint(left), "0", "", checkTarget(float64(left), 0, "%.0f"))
	return nil
}

// working matches the stack of a goroutine that works on an image.
var working = regexp.MustCompile(`(?m)^fc-idcard-ocr/(handler|ocrclient|internal/bucket)\.`)
