package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/console"
	"fc-idcard-ocr/internal/console/browser"
	"fc-idcard-ocr/internal/result"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serveConsole runs ocrctl console and returns the address that it prints.
func (c *cloud) serveConsole(args ...string) (url string) {
	ctx, cancel := context.WithCancel(c.t.Context())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		ended <- run(ctx, append([]string{"console", "--sandbox=" + c.dir}, args...), strings.NewReader(""), write, &stderr)
		write.Close()
	}()
	lines := bufio.NewScanner(read)
	require.True(c.t, lines.Scan(), "it prints its address")
	c.t.Cleanup(func() {
		cancel()
		assert.Equal(c.t, exitOK, <-ended)
		assert.NotContains(c.t, stderr.String(), secret)
		assert.NotContains(c.t, stderr.String(), "a.jpg")
	})
	return lines.Text()
}

func ask(t *testing.T, method, url, body string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if change != nil {
		change(request)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

func TestConsoleIsServedToWhoHasTheAddressOnly(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	url := c.serveConsole()
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/[A-Z2-7]{26}/$`, url)
	base := url[:strings.Index(url[7:], "/")+7]
	response, body := ask(t, "GET", url, "", nil)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, body, "<!doctype html>")
	assert.Equal(t, "no-store", response.Header.Get("Cache-Control"))
	assert.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'none'")
	for _, path := range []string{"/", "/api/about", "/x/api/about", "/static/app.js"} {
		response, body = ask(t, "GET", base+path, "", nil)
		assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
		assert.NotContains(t, body, bucketName)
	}
	response, _ = ask(t, "GET", url+"api/about", "", func(r *http.Request) { r.Host = "evil.example:80" })
	assert.Equal(t, http.StatusForbidden, response.StatusCode, "DNS rebinding")
	response, _ = ask(t, "POST", url+"api/refresh", "", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	assert.Equal(t, http.StatusForbidden, response.StatusCode, "another origin")
	response, _ = ask(t, "POST", url+"api/uploads?name=a.jpg", "x", nil)
	assert.NotEqual(t, http.StatusCreated, response.StatusCode, "a real bucket gets no uploads")
}

// rows waits until the console shows this many images, and returns them.
func rows(t *testing.T, url string, query string, n int) (page console.Page) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, body := ask(t, "POST", url+"api/images", query, nil)
		require.NoError(t, json.Unmarshal([]byte(body), &page), body)
		return len(page.Rows) == n
	}, 20*time.Second, 20*time.Millisecond)
	return page
}

func TestConsoleChangesNothingBeforeItIsConfirmed(t *testing.T) {
	c := start(t)
	c.put("a.jpg", "a picture")
	c.put("b.jpg", "no card")
	require.Equal(t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
	c.put("c.jpg", "a picture")
	url := c.serveConsole("--price", "0.5", "--interval", "1s")
	page := rows(t, url, `{"limit":10,"sort":"key","up":true}`, 3)
	assert.Equal(t, []console.State{console.StateConsistent, console.StateUnrecognized, console.StateWaiting}, []console.State{page.Rows[0].State, page.Rows[1].State, page.Rows[2].State})
	c.seen()
	act := func(action string, confirm bool, images int, status int) string {
		response, body := ask(t, "POST", url+"api/actions", fmt.Sprintf(`{"action":%q,"ids":[%q,%q,%q],"confirm":%v,"images":%d}`, action, page.Rows[0].ID, page.Rows[1].ID, page.Rows[2].ID, confirm, images), nil)
		require.Equal(t, status, response.StatusCode, body)
		return body
	}
	assert.JSONEq(t, `{"images":1,"skipped":2,"calls":1,"yuan":0.5,"documents":0}`, act("retry", false, 0, http.StatusOK), "only what is not final")
	assert.JSONEq(t, `{"images":3,"skipped":0,"calls":3,"yuan":1.5,"documents":2}`, act("force", false, 0, http.StatusOK))
	act("force", true, 2, http.StatusConflict) // another number than was shown
	for _, request := range c.seen() {
		assert.Regexp(t, "^GET", request, "looking changes nothing")
	}
	submitted := len(c.keys())
	assert.JSONEq(t, `{"submitted":3,"skipped":0,"failed":0}`, act("force", true, 3, http.StatusOK))
	c.work.Wait()
	assert.ElementsMatch(t, []string{"a.jpg", "b.jpg", "c.jpg"}, c.keys()[submitted:])
	assert.Contains(t, c.seen(), "DELETE /cards/a.jpg.ocr.json")

	readOnly := c.serveConsole("--read-only")
	page = rows(t, readOnly, `{"limit":10,"sort":"key","up":true}`, 3)
	response, _ := ask(t, "POST", readOnly+"api/actions", `{"action":"force","ids":["`+page.Rows[0].ID+`"],"confirm":true,"images":1}`, nil)
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
	response, _ = ask(t, "POST", readOnly+"api/reviews", `{}`, nil)
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
}

func TestConsoleShowsNothingPersonalUnasked(t *testing.T) {
	c := start(t)
	c.put("11010519491231002X/a.jpg", "a picture")
	require.Equal(t, 0, c.run("backfill", "--all").code)
	c.work.Wait()
	url := c.serveConsole("--reviewer", "li")
	page := rows(t, url, `{"limit":10}`, 1)
	assert.Equal(t, "110***********002X/a.jpg", page.Rows[0].Key)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tab, stop, err := browser.Start(ctx, "en")
	require.NoError(t, err)
	defer stop()
	var shown, asked string
	require.NoError(t, chromedp.Run(tab, chromedp.Navigate(url), chromedp.Click("#rows button.link", chromedp.ByQuery), chromedp.WaitVisible("#card", chromedp.ByQuery),
		chromedp.OuterHTML("html", &shown, chromedp.ByQuery), chromedp.Click("#reveal", chromedp.ByQuery),
		chromedp.Poll(`document.querySelector("#card").innerText.includes("`+card.IDNumber+`")`, nil),
		chromedp.Evaluate(`document.querySelector("#picture").getAttribute("src")`, &asked)))
	for _, personal := range []string{card.Name, card.IDNumber, card.Address, "api/picture"} {
		assert.NotContains(t, shown, personal)
	}
	assert.Contains(t, asked, "api/picture")
	require.NoError(t, chromedp.Run(tab, chromedp.KeyEvent("c"), chromedp.Poll(`document.querySelector("#messages").innerText.includes("Review stored: confirmed")`, nil)))
	stored, _, err := c.bucket.Read(t.Context(), "11010519491231002X/a.jpg"+result.ReviewSuffix, bucket.ReadOptions{Limit: 1 << 20})
	require.NoError(t, err)
	review, err := result.ParseReview(stored)
	require.NoError(t, err)
	assert.Equal(t, "li", review.ReviewedBy)
	assert.Equal(t, review.Before, review.After)
}
