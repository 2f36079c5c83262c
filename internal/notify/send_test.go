package notify

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/x509"

	"github.com/handoff-run/handoff/internal/project"
)

func sender(t *testing.T) Sender {
	t.Helper()
	return Sender{Environ: os.Environ(), Dir: t.TempDir(), Mask: func(s string) string { return s }, Pause: time.Millisecond, Now: time.Now}
}

// service is a TLS server with a certificate of its own, which answers with one status after the other.
type service struct {
	*httptest.Server
	roots *x509.CertPool
	mu    sync.Mutex
	got   []string
	keys  []string
}

func serve(t *testing.T, answers ...int) *service {
	t.Helper()
	s := &service{roots: x509.NewCertPool()}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		status := answers[min(len(s.got), len(answers)-1)]
		s.got, s.keys = append(s.got, string(body)), append(s.keys, r.Header.Get("Idempotency-Key"))
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "said\nhere")
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	s.roots.AddCert(s.Certificate())
	return s
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answers []int
		calls   int
		err     string
	}{
		{"at once", []int{200}, 1, ""},
		{"no content", []int{204}, 1, ""},
		{"fails twice first", []int{503, 429, 202}, 3, ""},
		{"fails all the time", []int{500}, tries, "4 tries: the webhook returned 500 Internal Server Error: said here"},
		{"is gone", []int{404, 200}, 1, "the webhook returned 404 Not Found: said here"},
		{"has moved", []int{302, 200}, 1, "the webhook returned 302 Found: said here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			to := serve(t, tt.answers...)
			s := sender(t)
			s.Roots = to.roots
			m := New(Failure, failedRun(), s.Mask)
			err := s.Send(t.Context(), project.Notify{Name: "n", Webhook: to.URL + "/T0PSECRET"}, m, nil)
			if text(err) != tt.err || len(to.got) != tt.calls {
				t.Errorf("%d calls, %v; want %d, %q", len(to.got), err, tt.calls, tt.err)
			}
			var got Message
			if err := json.Unmarshal([]byte(to.got[0]), &got); err != nil || got.ID != m.ID || got.Title != m.Title {
				t.Errorf("%s: %v", to.got[0], err)
			}
			for _, key := range to.keys {
				if key != m.ID+"/n" {
					t.Errorf("a try has the key %q", key)
				}
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestWebhookStaysHidden looks for the URL in all that can go wrong with one.
func TestWebhookStaysHidden(t *testing.T) {
	t.Parallel()
	strange := serve(t, 200)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, tt := range map[string]struct{ url, want string }{
		"nobody knows its certificate": {strange.URL, "certificate"},
		"nobody is there":              {"https://" + closed.Addr().String(), "connection refused"},
		"no such host":                 {"https://T0PSECRET.invalid", ""},
		"no URL":                       {"https://exa mple", "the webhook is no URL"},
		"no TLS there":                 {"http" + strings.TrimPrefix(strange.URL, "https"), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sender(t).Send(t.Context(), project.Notify{Name: "n", Webhook: tt.url + "/T0PSECRET"}, Message{}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "T0PSECRET") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if len(strange.got) > 0 {
		t.Error("a message has gone to a server that nobody trusts")
	}
}

// TestSilence gives up on a server that takes the connection and says nothing.
func TestSilence(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	for name, to := range map[string]project.Notify{
		"webhook": {Webhook: "http://" + silent.Addr().String()},
		"mail":    {Mail: &project.Mail{Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port, From: "a@b.c", To: []string{"a@b.c"}}},
		"command": {Command: "sleep 1000 & sleep 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, io.ErrNoProgress)
			defer cancel()
			if err := sender(t).Send(ctx, to, Message{}, nil); err == nil || !strings.Contains(err.Error(), io.ErrNoProgress.Error()) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	s := sender(t)
	m := New(Died, failedRun(), s.Mask)
	script := `cat > got; echo "$HANDOFF_EVENT $HANDOFF_TASK $HANDOFF_CLIENT" > env; ls /proc/self/fd > fds 2>&1; exit ` + "0"
	if err := s.Send(t.Context(), project.Notify{Command: script}, m, []byte("the record\n")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"got": "the record\n", "env": "died load acme\n"} {
		if got, err := os.ReadFile(filepath.Join(s.Dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	err := s.Send(t.Context(), project.Notify{Command: "echo first; echo why >&2; exit 3"}, m, nil)
	if text(err) != "the command failed: exit status 3: why" {
		t.Errorf("%v", err)
	}
	// One that does not read its input, and more than a pipe takes, is no failure.
	if err := s.Send(t.Context(), project.Notify{Command: "true # " + strings.Repeat("x", 100_000)}, m, make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
}
