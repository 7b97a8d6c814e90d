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
	browser := machine.Tool(t, "chromium", "chromium")
	checker, err := os.ReadFile(axe)
	if err != nil {
		machine.Lacks(t, "no axe-core here; 'npm ci --prefix tools/axe' fetches it")
	}
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
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(2*time.Minute))...)
	defer stop()
	ctx, leave := chromedp.NewContext(allocated)
	defer leave()
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
				must(chromedp.Do(ctx, chromedp.Navigate("file://"+page)))
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
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
				must(err)
				if wide > width {
					t.Errorf("the page is %d wide in a window of %d", wide, width)
				}
				charts, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('svg[role=img] > title').length`))
				must(err)
				if charts < 5 {
					t.Errorf("%d charts with a title", charts)
				}
				picture(t, must, ctx, fmt.Sprintf("report-%s-%d.png", scheme, width))
			})
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
