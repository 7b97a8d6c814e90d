package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/posthorn/posthorn/internal/machine"
)

// axe is where .ci/run puts axe-core, which checks pages for accessibility.
const axe = "../../tools/axe/node_modules/axe-core/axe.min.js"

// TestReportInABrowser opens the page in Chromium, as wide as a desktop and as a
// telephone, light and dark. axe-core finds nothing, nothing stands out to the
// side, and the browser has nothing to say. The pictures go to the folder that
// POSTHORN_TEST_PICTURES names, for people to look at.
func TestReportInABrowser(t *testing.T) {
	checker, err := os.ReadFile(axe)
	if err != nil {
		machine.Lacks(t, "no axe-core here; 'npm ci --prefix tools/axe' fetches it")
	}
	ctx := browse(t)
	for _, width := range []int64{1280, 360} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%s-%d", scheme, width), func(t *testing.T) {
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				must(chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)))
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				must(err)
				_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](string(checker)+"; document.querySelectorAll('details').forEach(d => d.open = true); true"))
				must(err)
				found, err := chromedp.Run(ctx, chromedp.Evaluate[string](
					`axe.run(document).then(r => JSON.stringify([r.passes.length, r.violations.map(v => v.id + ": " + v.nodes[0].html.slice(0, 200))]))`, chromedp.EvalAwaitPromise))
				must(err)
				var passes int
				var violations []string
				must(json.Unmarshal([]byte(found), &[]any{&passes, &violations}))
				if passes < 10 || len(violations) > 0 {
					t.Errorf("axe-core: %d passes, found %q", passes, violations)
				}
				picture(t, must, ctx, fmt.Sprintf("report-%s-%d.png", scheme, width))
			})
		}
	}
}

// browse opens the page of a quick run in Chromium.
func browse(t *testing.T) context.Context {
	t.Helper()
	browser := machine.Tool(t, "chromium", "chromium")
	files, err := Files(quick(t))
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), ReportFile)
	if err := os.WriteFile(page, files[ReportFile], 0o644); err != nil {
		t.Fatal(err)
	}
	allocated, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(10*time.Minute))...)
	t.Cleanup(stop)
	ctx, leave := chromedp.NewContext(allocated)
	t.Cleanup(leave)
	if err := chromedp.Do(ctx, chromedp.Navigate("file://"+page)); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// layout looks at every chart that is shown: its letters are at least 11 pixels
// high, all of its words lie within it, no two of them on each other, and it is
// as wide as the window at most, and so is the page with all its tables. On a
// screen of 360 pixels and more, the tables that are not folded need no moving.
// It answers with the number of charts and with what it found.
const layout = `(() => {
	document.querySelectorAll('details').forEach(d => d.open = true);
	const found = [], shown = [...document.querySelectorAll('svg[role=img]')].filter(svg => svg.getBoundingClientRect().width > 0);
	const wide = document.documentElement.scrollWidth;
	if (wide > window.innerWidth) found.push('the page is ' + wide + ' wide');
	for (const table of document.querySelectorAll('.scroll'))
		if (!table.closest('details') && window.innerWidth >= 360 && table.scrollWidth > table.clientWidth) found.push(table.textContent.slice(0, 60) + ' is cut off');
	for (const svg of shown) {
		const name = svg.querySelector('title').textContent, box = svg.getBoundingClientRect();
		const size = parseFloat(getComputedStyle(svg).fontSize) * box.width / svg.viewBox.baseVal.width;
		if (size < 11) found.push(name + ': letters of ' + size);
		if (box.left < 0 || box.right > window.innerWidth) found.push(name + ' stands out of the window');
		const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
		if (texts.length < 5) found.push(name + ' has no words');
		texts.forEach(([word, r], i) => {
			if (r.left < box.left || r.right > box.right || r.top < box.top || r.bottom > box.bottom) found.push(name + ': "' + word + '" is cut off');
			for (const [other, q] of texts.slice(i + 1))
				if (r.left < q.right && q.left < r.right && r.top + 2 < q.bottom && q.top + 2 < r.bottom) found.push(name + ': "' + word + '" on "' + other + '"');
		});
	}
	return JSON.stringify([shown.length, found]);
})()`

// TestChartsFitEveryScreen: each chart is shown whole and legible, once, from
// the narrowest telephone to a desktop, and on both sides of the width at which
// the page changes from one form to the other.
func TestChartsFitEveryScreen(t *testing.T) {
	ctx := browse(t)
	for _, width := range []int64{320, 360, 390, 480, 659, 660, 800, 1280} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
			t.Fatal(err)
		}
		answer, err := chromedp.Run(ctx, chromedp.Evaluate[string](layout))
		if err != nil {
			t.Fatal(err)
		}
		var charts int
		var found []string
		if err := json.Unmarshal([]byte(answer), &[]any{&charts, &found}); err != nil {
			t.Fatal(err)
		}
		if charts != 5 || len(found) > 0 {
			t.Errorf("%d pixels: %d charts, %q", width, charts, found)
		}
	}
}

// picture keeps what the page looks like, with its tables folded.
func picture(t *testing.T, must func(error), ctx context.Context, name string) {
	t.Helper()
	folder := os.Getenv("POSTHORN_TEST_PICTURES")
	if folder == "" {
		return
	}
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelectorAll('details').forEach(d => d.open = false); true`))
	must(err)
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	must(err)
	must(os.WriteFile(filepath.Join(folder, name), png, 0o644))
}
