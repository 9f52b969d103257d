// Command suites runs the test suites of the official OSS SDKs against the local OSS and lists what passes. The sources of the
// suites are not part of this repository: it takes the folder of a checkout, which it does not change.
//
//	go run ./internal/sandbox/ossfake/suites --suite go-v2 --dir ~/alibabacloud-oss-go-sdk-v2
//
// Suites are go-v1 (aliyun-oss-go-sdk), go-v2 (alibabacloud-oss-go-sdk-v2) and ali-oss, of which `npm install` must have been run.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"fc-idcard-ocr/internal/sandbox/ossfake"
)

const (
	region  = "cn-hangzhou"
	keyID   = "suites"
	secret  = "suites-access-key-secret"
	account = "1000000000000001" // that of the local OSS
)

// outcome is what became of a test.
type outcome struct{ name, result, reason string }

// suite runs one SDK's tests. dir is a copy of the checkout, which it may change; port is that of the local OSS, pattern a regular
// expression that selects tests. It returns what the tests printed, too.
type suite func(ctx context.Context, dir, port, pattern string) (outcomes []outcome, output string, err error)

var suites = map[string]suite{"go-v1": goV1, "go-v2": goV2, "ali-oss": aliOSS}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context) error {
	name := flag.String("suite", "", "the suite: "+strings.Join(slices.Sorted(maps.Keys(suites)), ", "))
	checkout := flag.String("dir", "", "the folder of a checkout of the SDK")
	pattern := flag.String("run", "", "a regular expression that selects tests; all if empty")
	verbose := flag.Bool("v", false, "print what the suite prints")
	flag.Parse()
	chosen, ok := suites[*name]
	if !ok || *checkout == "" || flag.NArg() > 0 {
		flag.Usage()
		return fmt.Errorf("--suite must be one of %s, and --dir the folder of its checkout", strings.Join(slices.Sorted(maps.Keys(suites)), ", "))
	}
	work, err := os.MkdirTemp("", "oss-suite-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// The older suites make public objects, which new buckets do not allow; the newest one expects that they do not.
	port, stop, err := serve(filepath.Join(work, "oss"), *name != "go-v2")
	if err != nil {
		return err
	}
	defer stop()
	dir := filepath.Join(work, "checkout")
	if err := os.CopyFS(dir, withoutModules{os.DirFS(*checkout)}); err != nil {
		return fmt.Errorf("copy the checkout: %w", err)
	}
	if err := os.Symlink(filepath.Join(*checkout, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		return err
	}
	outcomes, output, err := chosen(ctx, dir, port, *pattern)
	if *verbose || len(outcomes) == 0 {
		fmt.Println(output)
	}
	if err != nil {
		return err
	}
	if len(outcomes) == 0 {
		return errors.New("the suite ran no test")
	}
	report(outcomes)
	return nil
}

// serve starts a local OSS.
func serve(dir string, allowPublicAccess bool) (port string, stop func(), err error) {
	server, err := ossfake.New(ossfake.Config{
		Dir: dir, Region: region, AllowPublicAccess: allowPublicAccess,
		Keys: ossfake.NewKeyring(ossfake.Credentials{AccessKeyID: keyID, AccessKeySecret: secret}),
	})
	if err != nil {
		return "", nil, err
	}
	web := httptest.NewServer(server)
	_, port, err = net.SplitHostPort(web.Listener.Addr().String())
	return port, func() {
		web.Close()
		server.Close() //nolint:errcheck // the folder is removed
	}, err
}

// report prints the failures, then the totals.
func report(outcomes []outcome) {
	slices.SortFunc(outcomes, func(a, b outcome) int { return cmp.Compare(a.name, b.name) })
	total := map[string]int{}
	for _, o := range outcomes {
		total[o.result]++
		if o.result == "fail" {
			fmt.Printf("fail  %s\n      %s\n", o.name, o.reason)
		}
	}
	for _, result := range slices.Sorted(maps.Keys(total)) {
		fmt.Printf("%s %d\n", result, total[result])
	}
}

// firstMatch returns what a pattern's group matches in a text, on one line.
func firstMatch(text string, patterns ...string) string {
	for _, pattern := range patterns {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(text); found != nil {
			reason := strings.Join(strings.Fields(found[1]), " ")
			return reason[:min(len(reason), 300)]
		}
	}
	return ""
}
