// Command screenshots starts a sandbox with the OCR engine, drops specimen cards into its console, and writes pictures of
// the page, console-*.png, into the folder that its argument names, "docs/images" by default. It keeps nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"

	"fc-idcard-ocr/internal/console/browser"
	"fc-idcard-ocr/internal/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := filepath.Join("docs", "images")
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

// pictures are dropped in; the last one shows no card, the one before is shown in detail.
var pictures = []string{"testdata/cards/photo-03.jpg", "testdata/cards/lowres-02.jpg", "testdata/cards/scan-01.jpg"}

func run(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "fc-idcard-ocr-screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	cloud, err := sandbox.Start(ctx, sandbox.Options{Dir: temporary})
	if err != nil {
		return err
	}
	defer cloud.Close()
	for n, picture := range append([]string{filepath.Join("internal", "console", "page", "icon.svg")}, pictures...) {
		content, err := os.ReadFile(picture)
		if err != nil {
			return fmt.Errorf("run it in the repository's folder: %w", err)
		}
		key := "console/" + filepath.Base(picture)
		if n == 0 {
			key = "console/not-a-picture.jpg"
		}
		if err := cloud.Upload(ctx, key, content); err != nil {
			return err
		}
		if _, _, err := cloud.Await(ctx, key); err != nil {
			return err
		}
	}
	if err := cloud.Runtime.Wait(ctx); err != nil {
		return err
	}
	for _, shot := range []struct{ name, languages, scheme, key string }{
		{"console-light.png", "en", "light", "console/scan-01.jpg"},
		{"console-dark.png", "en", "dark", "console/scan-01.jpg"},
		{"console-zh.png", "zh-CN", "light", "console/scan-01.jpg"},
		{"console-not-recognised.png", "en", "light", "console/not-a-picture.jpg"},
	} {
		if err := take(ctx, cloud.ManagementURL, filepath.Join(dir, shot.name), shot.languages, shot.scheme, shot.key); err != nil {
			return fmt.Errorf("%s: %w", shot.name, err)
		}
	}
	return nil
}

func take(ctx context.Context, url, file, languages, scheme, key string) error {
	page, stop, err := browser.Start(ctx, languages)
	if err != nil {
		return err
	}
	defer stop()
	var png []byte
	open := fmt.Sprintf(`//button[text()=%q]`, key)
	err = chromedp.Run(page, browser.ColorScheme(scheme), chromedp.Navigate(url+"/"), chromedp.Click(open, chromedp.BySearch),
		chromedp.WaitVisible("#steps li.done:last-child", chromedp.ByQuery),
		chromedp.Poll(`document.querySelector("#picture").complete && document.querySelector("#connection.good") !== null`, nil),
		chromedp.FullScreenshot(&png, 100))
	if err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}
