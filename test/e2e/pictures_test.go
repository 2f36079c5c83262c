//go:build e2e

package e2e

import (
	"context"
	"encoding/xml"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The pictures of the documentation show in a browser what was drawn: each word stands in its columns, nothing is
// stretched, no blank is lost. They are shown as code hosts do, by <img>, where an SVG gets no help from its page.
func TestPictures(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var pictures []string
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".svg") {
			pictures = append(pictures, path)
		}
		return err
	})
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures in docs: %v", err)
	}
	for _, browser := range []string{"chromium", "firefox-esr"} {
		for _, path := range pictures {
			t.Run(browser+"/"+filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				p := readPicture(t, path)
				checkPicture(t, p, screenshot(t, browser, path, p))
			})
		}
	}
}

// picture is what is of interest in an SVG of test/cast.py.
type picture struct {
	Width  int `xml:"width,attr"`
	Height int `xml:"height,attr"`
	Group  struct {
		Words []word `xml:"text"`
	} `xml:"g"`
}

type word struct {
	X     float64 `xml:"x,attr"`
	Y     float64 `xml:"y,attr"`
	Width float64 `xml:"textLength,attr"`
	Text  string  `xml:",chardata"`
}

func readPicture(t *testing.T, path string) picture {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p picture
	if err := xml.Unmarshal(text, &p); err != nil || len(p.Group.Words) == 0 {
		t.Fatalf("%s: no words: %v", path, err)
	}
	return p
}

// screenshot shows the picture in a browser of this machine, without a window.
func screenshot(t *testing.T, browser, path string, p picture) image.Image {
	t.Helper()
	dir := t.TempDir()
	page, shot, profile := filepath.Join(dir, "page.html"), filepath.Join(dir, "shot.png"), filepath.Join(dir, "profile")
	html := fmt.Sprintf(`<!doctype html><body style="margin:0"><img src="file://%s"></body>`, path)
	if err := os.WriteFile(page, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	size := fmt.Sprintf("--window-size=%d,%d", p.Width, p.Height+200)
	args := map[string][]string{
		"chromium": {"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--force-device-scale-factor=1", "--hide-scrollbars",
			"--user-data-dir=" + profile, size, "--screenshot=" + shot, "file://" + page},
		"firefox-esr": {"--headless", "--no-remote", "--profile", profile, size, "--screenshot", shot, "file://" + page},
	}[browser]
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, out)
	}
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkPicture looks for ink in the place of each character, and for none between the words.
func checkPicture(t *testing.T, p picture, img image.Image) {
	t.Helper()
	rows := map[float64][]word{}
	for _, w := range p.Group.Words {
		rows[w.Y] = append(rows[w.Y], w)
	}
	for y, words := range rows {
		end := 0.0
		for _, w := range words { // in the order of their columns
			if w.X-end > 4 && hasInk(img, end+2, w.X-2, y) {
				t.Errorf("line at %v: ink before %q, where nothing is", y, w.Text)
			}
			n := float64(len([]rune(w.Text)))
			for i, r := range []rune(w.Text) {
				if x := w.X + float64(i)*w.Width/n; !hasInk(img, x, x+w.Width/n, y) {
					t.Errorf("line at %v: no ink for %q of %q", y, r, w.Text)
				}
			}
			end = w.X + w.Width
		}
		if hasInk(img, end+2, float64(p.Width)-2, y) {
			t.Errorf("line at %v: ink behind its last word", y)
		}
	}
}

// hasInk reports whether something is drawn between two columns of pixels on the line of text with this base line.
func hasInk(img image.Image, from, to, base float64) bool {
	const ground, differs = 0x16 << 8, 40 << 8
	for x := int(math.Floor(from)); x < int(math.Ceil(to)); x++ {
		for y := int(base) - 13; y <= int(base)+4; y++ {
			if r, _, _, _ := img.At(x, y).RGBA(); int(r)-ground > differs {
				return true
			}
		}
	}
	return false
}
