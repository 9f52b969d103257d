// Package browser starts a headless Chromium for the tests and screenshots of the console. It never uses the profile of
// the person who runs it, and the browser makes no requests of its own.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// ErrMissing says that no Chromium was found, and how to get one.
var ErrMissing = errors.New("browser: no Chromium found: run make browser (on Debian: apt-get install -y chromium)")

// names are those under which Chromium is found in PATH.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Start starts a browser with an empty profile and a page of 1360 by 900 pixels. The languages are those of the
// Accept-Language header, such as "en" or "zh-CN,zh". stop ends the browser and removes the profile.
func Start(ctx context.Context, languages string) (page context.Context, stop func(), err error) {
	path := ""
	for _, name := range names {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if path == "" {
		return nil, nil, ErrMissing
	}
	profile, err := os.MkdirTemp("", "fc-idcard-ocr-browser-")
	if err != nil {
		return nil, nil, fmt.Errorf("browser: %w", err)
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.WindowSize(1360, 900), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("accept-lang", languages),
	)
	page, cancelPage := chromedp.NewContext(allocator)
	stop = func() {
		chromedp.Cancel(page) //nolint:errcheck // asks the browser to end; what follows makes sure
		cancelPage()
		cancelAllocator()
		if state := chromedp.FromContext(page); state != nil && state.Allocator != nil {
			state.Allocator.Wait() // a browser that is still ending would write into its profile again
		}
		os.RemoveAll(profile) //nolint:errcheck // it is in the folder for temporary files
	}
	if err := chromedp.Run(page); err != nil {
		stop()
		return nil, nil, fmt.Errorf("browser: %s does not start: %w", path, err)
	}
	return page, stop, nil
}

// ColorScheme makes the page think that the person prefers "light" or "dark".
func ColorScheme(scheme string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}})
}
