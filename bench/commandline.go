package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/ctl/listtest"
)

// commandLine measures ocrctl on a large bucket against a plain listing.
func (b *bench) commandLine(ctx context.Context, s *section) error {
	const roundTrip, tail, parallel = 20 * time.Millisecond, 300 * time.Millisecond, 64
	objects, documents := 50_000*b.repeat(20), 237*b.repeat(20)
	path := filepath.Join(b.dir, "ocrctl")
	if err := goBuild(ctx, path, "fc-idcard-ocr/cmd/ocrctl", "-s -w"); err != nil {
		return err
	}
	s.how = fmt.Sprintf("`ocrctl` against a store with a latency of %s for each request; half of the objects are images, half are their documents, in twelve folders. "+
		"The baseline of a listing is a program that requests one page after the other and evaluates nothing. For reads, every 50th of which takes %s, the baseline is "+
		"the time of all reads divided by --parallel %d.", roundTrip, tail, parallel)
	s.columns("", "measured", "baseline", "ratio", "target", "peak memory")
	for _, count := range []int{objects / 10, objects} {
		store := &listtest.Server{Keys: bucketKeys(count), Delay: roundTrip, LastModified: time.Now()}
		server := httptest.NewServer(store)
		baseline, err := plainListing(ctx, server.URL)
		if err != nil {
			return err
		}
		for _, command := range [][]string{{"status", "--listing-only"}, {"backfill", "--all", "--dry-run"}} {
			took, peak, err := runOcrctl(ctx, path, server.URL, command...)
			if err != nil {
				return err
			}
			ratio, verdict := compare(took.Seconds(), baseline.Seconds(), 1.2)
			s.row(fmt.Sprintf("%s, %d objects", strings.Join(command, " "), count), seconds(took), seconds(baseline), ratio, verdict, mebibytes(peak))
		}
		server.Close()
	}
	store := &listtest.Server{Keys: bucketKeys(2 * documents), Delay: roundTrip, LastModified: time.Now(),
		Body: fmt.Appendf(nil, `{"schemaVersion":1,"status":"recognized","image":{"etag":%q}}`, listtest.ETag)}
	reads := 0
	slow := map[string]bool{}
	var ideal time.Duration
	for _, key := range store.Keys {
		if strings.HasSuffix(key, ".ocr.json") {
			if reads++; reads%50 == 0 {
				slow[key] = true
				ideal += tail - roundTrip
			}
			ideal += roundTrip
		}
	}
	ideal /= parallel
	store.Slow = func(key string) time.Duration {
		if slow[key] {
			return tail
		}
		return roundTrip
	}
	server := httptest.NewServer(store)
	defer server.Close()
	for _, command := range [][]string{{"status"}, {"export", "-F", "jsonl"}, {"backfill", "--all", "--dry-run", "--retry-failed", "all"}} {
		took, peak, err := runOcrctl(ctx, path, server.URL, append(command, "--parallel", fmt.Sprint(parallel))...)
		if err != nil {
			return err
		}
		ratio, verdict := compare(took.Seconds(), ideal.Seconds(), 1.6)
		s.row(fmt.Sprintf("%s, %d documents", strings.Join(command, " "), documents), seconds(took), seconds(ideal), ratio, verdict, mebibytes(peak))
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// bucketKeys are the keys of so many objects: images and their documents, by month.
func bucketKeys(n int) []string {
	keys := make([]string, 0, n)
	for i := range n / 2 {
		image := fmt.Sprintf("2026/%02d/%07d.jpg", 1+i%12, i)
		keys = append(keys, image, image+".ocr.json")
	}
	slices.Sort(keys)
	return keys
}

var nextPage = regexp.MustCompile(`<NextContinuationToken>(.*?)</NextContinuationToken>`)

// plainListing asks for one page after the other.
func plainListing(ctx context.Context, endpoint string) (time.Duration, error) {
	began := time.Now()
	for token := ""; ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/cards/?list-type=2&max-keys=1000&continuation-token="+url.QueryEscape(token), nil)
		if err != nil {
			return 0, err
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return 0, err
		}
		found := nextPage.FindSubmatch(page)
		if found == nil {
			return time.Since(began), nil
		}
		token = string(found[1])
	}
}

// runOcrctl runs a command to its end.
func runOcrctl(ctx context.Context, path, endpoint string, args ...string) (took time.Duration, peak int64, err error) {
	c := exec.CommandContext(ctx, path, append(args, "-b", "cards", "-r", "cn-hangzhou", "--oss-endpoint", endpoint)...)
	c.Env = append(os.Environ(), "ALIBABA_CLOUD_ACCESS_KEY_ID=id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=secret")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return 0, 0, fmt.Errorf("ocrctl %s: %w\n%s", args[0], err, &stderr)
			}
			return time.Since(began), peak, nil
		case <-tick.C: // getrusage would return the memory of this process, from which the other was forked
			if _, now, err := memoryOf(c.Process.Pid); err == nil { // else it has ended
				peak = max(peak, now)
			}
		}
	}
}
