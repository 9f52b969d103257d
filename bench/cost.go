package main

import (
	"context"
	"fmt"
	"time"
)

// Prices of Function Compute in mainland regions, pay as you go, without the discounts that come and go
// (https://help.aliyun.com/zh/functioncompute/fc/product-overview/billing-fc, as of 2025-12-13).
const (
	yuanPerCU       = 0.00011 // up to 200 million CU a month
	cuPerVCPUSecond = 1.0
	cuPerGBSecond   = 0.15
	cuPerDiskSecond = 0.05 // and GB
	cuPerInvocation = 75.0 / 10000
	diskGB          = 0.5
)

// deployment is a way to run 1,000 images.
type deployment struct {
	name         string
	program      program
	vCPU, memory float64 // memory in GB
	atOnce       int     // images that one instance works on at a time
}

// cost computes the instance time and price of 1,000 images from measured times and the list price.
func (b *bench) cost(ctx context.Context, s *section) error {
	const images, latency = 1000, time.Second
	s.how = fmt.Sprintf("%d images with an OCR latency of %s and one event each. The time of an image is measured on a whole core. "+
		"The rest is computed: on a fraction of a core, the CPU time of an image grows accordingly; concurrent images share the time of their instance; "+
		"list price of FC in mainland regions (%g yuan per CU: %g per vCPU·s, %g per GB·s of memory, %g per GB·s of disk, %g per invocation).",
		images, latency, yuanPerCU, cuPerVCPUSecond, cuPerGBSecond, cuPerDiskSecond, cuPerInvocation)
	s.columns("", "instance", "concurrent images", "time per image", "instance-seconds", "CU", "yuan")
	deployments := []deployment{
		{"s.yaml, Go runtime", b.function, 0.2, 0.25, 1},
		{"the smallest instance of FC, Go runtime", b.function, 0.05, 0.125, 1},
		{"s.custom.yaml, custom runtime", b.custom, 0.5, 0.5, 50},
	}
	if b.python.command != nil {
		deployments = append(deployments, deployment{b.python.name, b.python, 0.2, 0.25, 1})
	}
	b.cloud.latency = latency
	defer func() { b.cloud.latency = 0 }()
	for _, d := range deployments {
		process, err := start(ctx, d.program)
		if err != nil {
			return err
		}
		prefix := "cost/" + d.name
		if _, _, err := b.series(ctx, process, prefix+"/warm", 2); err != nil {
			return err
		}
		measured := b.repeat(20)
		cpu, wall, err := b.series(ctx, process, prefix, measured)
		process.stop()
		if err != nil {
			return err
		}
		cpu, wall = cpu/time.Duration(measured), wall/time.Duration(measured)
		stretched := wall + time.Duration(float64(cpu)*(1/d.vCPU-1)) // a share of a core makes the image take longer ...
		busy := time.Duration(float64(cpu) / d.vCPU)                 // ... and is what images at once cannot share
		seconds := images * max(stretched.Seconds()/float64(d.atOnce), busy.Seconds())
		cu := seconds*(d.vCPU*cuPerVCPUSecond+d.memory*cuPerGBSecond+diskGB*cuPerDiskSecond) + images*cuPerInvocation
		s.row(d.name, fmt.Sprintf("%g vCPU, %g GB", d.vCPU, d.memory), fmt.Sprint(d.atOnce), fmt.Sprintf("%.3f s", stretched.Seconds()),
			fmt.Sprintf("%.0f", seconds), fmt.Sprintf("%.0f", cu), fmt.Sprintf("%.4f", cu*yuanPerCU))
	}
	s.note("The price of the OCR API is not included. At 0.05 yuan a call, 1,000 images cost 50 yuan: one event in a thousand that is paid twice costs more than the function.")
	s.note("FC bills at least 0.01 yuan for each hour in which a function is called, and the memory and disk of an instance for one minute after its last call. Disk is counted in full, although part of it may be free.")
	s.note("The Python function uses the same instance type. It handles one image at a time, and pays again for each event that is delivered twice.")
	return nil
}
