package console_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fc-idcard-ocr/internal/console/browser"
)

// violation is a rule of axe-core that the page breaks, with the elements that do.
type violation struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

func TestEveryViewPassesTheChecksOfAxe(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("../../console/testdata/axe/node_modules/axe-core/axe.min.js")
	require.NoError(t, err, "run make axe")
	cloud := start(t)
	upload(t, cloud, "a.jpg", card(t))
	upload(t, cloud, "b.png", []byte(grey(t)))
	for _, scheme := range []string{"light", "dark"} {
		page := visit(t, cloud, map[string]string{"light": "en", "dark": "zh-CN"}[scheme])
		check := func(name string) {
			t.Helper()
			require.NoError(t, chromedp.Run(page, chromedp.Evaluate(string(axe), nil)))
			assert.Empty(t, evaluate[[]violation](t, page, `axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
				.then(r => r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html)})))`), "%s %s", scheme, name)
		}
		require.NoError(t, chromedp.Run(page, browser.ColorScheme(scheme)))
		eventually(t, page, "#rows", "a.jpg")
		check("list")
		open(t, page, "a.jpg")
		eventually(t, page, "#card", "张*")
		evaluate[any](t, page, `{ document.querySelector("#requests-box").open = document.querySelector("#document-box").open = true; }`)
		check("detail")
		click(t, page, "#correct")
		until(t, page, `Boolean(document.querySelector("#edit-name"))`)
		check("correction")
		require.NoError(t, chromedp.Run(page, chromedp.EmulateViewport(375, 800)))
		check("phone")
		require.NoError(t, chromedp.Run(page, chromedp.EmulateViewport(1360, 900)))
		evaluate[any](t, page, `import("/static/core.js").then(core => { core.go({image: ""}); core.tell("x"); })`)
		drop(t, page, "notes.txt", "x")
		eventually(t, page, "#messages", "notes.txt")
		for _, view := range []string{"numbers", "work", "sandbox"} {
			click(t, page, "#views [data-view="+view+"]")
			until(t, page, `Boolean(document.querySelector("#view-`+view+` h2"))`)
			check(view)
		}
		evaluate[any](t, page, `void import("/static/core.js").then(core => core.confirmation("title", ["line"], "yes"))`)
		until(t, page, `document.querySelector("#dialog").open`)
		check("dialog")
	}
}

func TestNothingStandsOutAtAnyWidth(t *testing.T) {
	t.Parallel()
	cloud := start(t)
	upload(t, cloud, "a-key-that-is-as-long-as-some-systems-make-them/2026/11/25/0123456789abcdef0123456789abcdef.jpg", card(t))
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	page, stop, err := browser.Start(limited, "zh-CN")
	require.NoError(t, err)
	defer stop()
	for _, width := range []int64{375, 768, 1024, 1280, 1360, 1920, 2560} {
		require.NoError(t, chromedp.Run(page, chromedp.EmulateViewport(width, 900)))
		for _, query := range []string{"", "?view=numbers", "?view=work", "?view=sandbox"} {
			require.NoError(t, chromedp.Run(page, chromedp.Navigate(cloud.ManagementURL+"/"+query), chromedp.WaitVisible("#connection.good", chromedp.ByQuery)))
			until(t, page, `document.querySelectorAll("#rows tr").length === 1`)
			assert.LessOrEqual(t, evaluate[float64](t, page, `document.documentElement.scrollWidth - innerWidth`), 0., "%d %s", width, query)
		}
		require.NoError(t, chromedp.Run(page, chromedp.Navigate(cloud.ManagementURL+"/"), chromedp.WaitVisible("#rows button.link", chromedp.ByQuery), chromedp.Click("#rows button.link", chromedp.ByQuery),
			chromedp.WaitVisible("#card", chromedp.ByQuery)))
		assert.LessOrEqual(t, evaluate[float64](t, page, `document.querySelector("#detail").scrollWidth - document.querySelector("#detail").clientWidth`), 0., "%d", width)
	}
}
