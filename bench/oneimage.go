package main

import (
	"context"
	"fmt"
	"time"
)

// oneImage measures the CPU time of an image in the normal case, and counts its requests and connections.
func (b *bench) oneImage(ctx context.Context, s *section) error {
	const rounds, images = 7, 400
	s.how = fmt.Sprintf("CPU time (user and system) of the process per image, Go runtime, image sent as a URL, OCR API and OSS respond immediately: "+
		"median of %d rounds of %d images, programs alternating, each round with a new process after 50 images.", rounds, images)
	s.columns("program", "CPU per image", "wall per image", "requests per image", "connections", "ratio of CPU", "target")
	handwrittenOne := b.handwritten
	handwrittenOne.name += ", GOMAXPROCS=1"
	handwrittenOne.env = append(handwrittenOne.env[:len(handwrittenOne.env):len(handwrittenOne.env)], oneProcessor)
	programs := []program{b.function, b.handwritten, handwrittenOne}
	if b.python.command != nil {
		programs = append(programs, b.python)
	}
	cpu, wall := map[string][]time.Duration{}, map[string][]time.Duration{}
	requests, connections := map[string]float64{}, map[string]int{}
	for round := range b.repeat(rounds) {
		for _, p := range programs {
			process, err := start(ctx, p)
			if err != nil {
				return err
			}
			b.cloud.counts()
			if _, _, err := b.series(ctx, process, fmt.Sprintf("warm/%s/%d", p.name, round), b.repeat(50)); err != nil {
				return err
			}
			warm := b.cloud.counts()
			used, took, err := b.series(ctx, process, fmt.Sprintf("%s/%d", p.name, round), images)
			process.stop()
			if err != nil {
				return err
			}
			cpu[p.name], wall[p.name] = append(cpu[p.name], used/images), append(wall[p.name], took/images)
			counted := b.cloud.counts()
			connections[p.name] = warm["connections"] + counted["connections"]
			delete(counted, "connections")
			total := 0
			for _, n := range counted {
				total += n
			}
			requests[p.name] = float64(total) / images
		}
	}
	baseline := median(cpu[b.handwritten.name])
	for _, p := range programs {
		target := 0.0
		if p.name == b.function.name {
			target = 1.3
		}
		ratio, verdict := compare(median(cpu[p.name]).Seconds(), baseline.Seconds(), target)
		s.row(p.name, milliseconds(median(cpu[p.name])), milliseconds(median(wall[p.name])), fmt.Sprintf("%.2f", requests[p.name]),
			fmt.Sprint(connections[p.name]), ratio, verdict)
	}
	same, _ := compare(median(cpu[b.function.name]).Seconds(), median(cpu[handwrittenOne.name]).Seconds(), 0)
	s.note("On the Go runtime s.yaml sets GOMAXPROCS=1, which avoids waking threads. Compared with a baseline with the same setting, its ratio is %s: "+
		"the difference is the OSS SDK, the JSON of claim and document, the checks and the log.", same)
	s.note("The Python function makes two requests: it has no claim and checks nothing. It opens a new connection for each request.")
	return nil
}

// series delivers images one after the other and returns CPU time and elapsed time for all of them.
func (b *bench) series(ctx context.Context, p *process, prefix string, images int) (cpu, wall time.Duration, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	for i := range images {
		if err := p.deliver(ctx, b.cloud.upload(fmt.Sprintf("%s/%05d.jpg", prefix, i), []byte("picture"))); err != nil {
			return 0, 0, err
		}
	}
	wall = time.Since(began)
	after, err := p.cpu()
	return after - before, wall, err
}
